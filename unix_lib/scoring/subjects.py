"""A model as something that benchmarks are put to: a checkpoint from anywhere, or what answers at an address."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.checkpoints.open import checkpoint_folder, image_tokenizer_of, wording_of
from unix_lib.config.brought import EndpointSettings
from unix_lib.config.evaluate import ScorerKind
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.scores import Subject
from unix_lib.scoring.bringing import bring
from unix_lib.scoring.lists import ScoredModel


class Subjects:
    """One model of a list, as each benchmark asks it; artefacts are brought below `results`."""

    def __init__(self, model: ScoredModel, plan: Plan, results: Path) -> None:
        """A checkpoint is looked for at once.

        Raises:
            CheckpointError: no checkpoint there. ArtefactError: a damaged one.
        """
        self.model, self.plan, self.results = model, plan, results
        self.name = self._checkpoint.name if model.endpoint is None else model.called

    def of(self, kind: ScorerKind) -> Subject:
        """Who answers a benchmark of a kind.

        Raises:
            CheckpointError: no image tokenizer is found for a checkpoint that needs one. ArtefactError: a damaged one.
        """
        if self.model.endpoint is not None:
            return self._behind_address
        if self.model.server is not None and kind.asks_endpoints:
            return self._behind_server
        return self._with_images if kind.has_images else self._checkpoint

    @cached_property
    def _checkpoint(self) -> Subject:
        folder = checkpoint_folder(Path(str(self.model.checkpoint)))
        facts = read_manifest(folder).facts
        return Subject(facts["run"], facts["step"], bring(folder, self.results), wording=wording_of(folder))

    @cached_property
    def _with_images(self) -> Subject:
        named = self.model.image_tokenizer
        folder = (self.results / self._checkpoint.checkpoint).resolve()
        tokenizer = image_tokenizer_of(folder) if named is None else Path(named)
        return replace(self._checkpoint, image_tokenizer=bring(tokenizer, self.results))

    @cached_property
    def _behind_server(self) -> Subject:
        served = self._with_images
        inputs: dict[str, str | list[str]] = {
            "checkpoint": served.checkpoint,
            "image_tokenizer": str(served.image_tokenizer),
        }
        # An answer may be empty, as it may be without a server.
        made = self._endpoint(EndpointSettings(name=served.name, parameters={"min_tokens": 0}), inputs)
        return replace(served, checkpoint=made, asking=self.model.asking())

    @cached_property
    def _behind_address(self) -> Subject:
        return Subject(self.name, -1, self._endpoint(self.model.behind(), {}), asking=self.model.asking())

    def _endpoint(self, settings: EndpointSettings, inputs: dict[str, str | list[str]]) -> str:
        """What stands for a model behind an endpoint."""
        artefact = self.plan.add("train", settings.name, "endpoint", settings, inputs, Execution())
        job: Job[EndpointSettings, Execution] = Job.of(self.plan.jobs[artefact].recipe, self.results, Execution())
        job.make()
        return artefact

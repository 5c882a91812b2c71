"""Jobs that are planned and jobs that are finished, as the work of a job is reckoned from them."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.recipe import Recipe, recipe_of
from unix_lib.artefacts.verify import finished_artefacts
from unix_lib.config.strict import ConfigError, StrictModel
from unix_lib.config.train import CheckpointSettings
from unix_lib.jobs.job_kinds import job_kind
from unix_lib.recipes.costs import run_costs
from unix_lib.recipes.plan import Plan


class PlannedJobs:
    """The jobs of a plan (`unix_lib.recipes.work.Jobs`)."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._parameters: dict[str, float] = {}  # by run

    def recipe(self, artefact: str) -> Recipe:
        return self._plan.jobs[artefact].recipe

    def settings(self, artefact: str) -> StrictModel:
        return self._plan.jobs[artefact].settings

    def parameters(self, checkpoint: str) -> float:
        run = self._checkpoint(checkpoint).run
        if run not in self._parameters:
            costs = run_costs(self._plan.experiment, run)
            self._parameters[run] = (costs.text.parameters + costs.vision.parameters) / 2
        return self._parameters[run]

    def steps_before(self, checkpoint: str) -> int:
        return max((self._checkpoint(name).step for name in self._plan.jobs[checkpoint].after), default=0)

    def _checkpoint(self, artefact: str) -> CheckpointSettings:
        settings = self._plan.jobs[artefact].settings
        assert isinstance(settings, CheckpointSettings)
        return settings


@dataclass(frozen=True)
class FinishedJob:
    """A finished job of this version of the library."""

    recipe: Recipe
    settings: StrictModel
    manifest: Manifest


class FinishedJobs:
    """The finished jobs of `results/<experiment>`; what is damaged or of an earlier version is not among them."""

    def __init__(self, results: Path) -> None:
        self.jobs: dict[str, FinishedJob] = {}
        self._steps: dict[str, set[int]] = {}  # of a run's checkpoints, by the run's digest
        for folder in finished_artefacts(results):
            try:
                recipe = recipe_of(folder)
                settings = job_kind(recipe.stage, recipe.kind).settings.model_validate(recipe.settings)
                self.jobs[recipe.artefact] = FinishedJob(recipe, settings, read_manifest(folder))
            except (UserError, ConfigError, ValidationError):
                continue
            if isinstance(settings, CheckpointSettings):
                self._steps.setdefault(settings.run_digest, set()).add(settings.step)

    def recipe(self, artefact: str) -> Recipe:
        return self.jobs[artefact].recipe

    def settings(self, artefact: str) -> StrictModel:
        return self.jobs[artefact].settings

    def parameters(self, checkpoint: str) -> float:
        facts = self.jobs[checkpoint].manifest.facts
        return float(facts["parameters_text"] + facts["parameters_vision"]) / 2

    def steps_before(self, checkpoint: str) -> int:
        settings = self.jobs[checkpoint].settings
        assert isinstance(settings, CheckpointSettings)
        return max((step for step in self._steps[settings.run_digest] if step < settings.step), default=0)

"""The plan of an experiment: one recipe per job, and what each job may use of the machine."""

from dataclasses import dataclass, field
from typing import Any, Literal

from unix_lib.artefacts.names import checkpoint_name
from unix_lib.artefacts.recipe import Recipe
from unix_lib.config.analyze import Inputs
from unix_lib.config.experiment import Experiment
from unix_lib.config.generate import BenchmarkSampling, Wording
from unix_lib.config.jobs import Execution
from unix_lib.config.outside import Outside, identified
from unix_lib.config.strict import ConfigError, StrictModel
from unix_lib.config.tokenize import Template, tokens_name
from unix_lib.jobs.job_kinds import job_kind

STAGES = (
    "sources",
    "translate",
    "tokenizers",
    "encode",
    "tokenize",
    "pack",
    "train",
    "generate",
    "evaluate",
    "analyze",
    "figures",
    "report",
)


@dataclass(frozen=True)
class PlannedJob:
    """A recipe with its typed settings, the machine it asks for, and what must exist first without being part of it."""

    recipe: Recipe
    settings: StrictModel
    execution: Execution
    after: tuple[str, ...] = ()  # artefacts
    made_by: str | None = None  # the artefact of the job that makes this one too


@dataclass
class Plan:
    """All jobs of an experiment by artefact (`stage/name-digest`), in the order in which data flows.

    It is also what an analysis may ask for (`unix_lib.config.analyze.Planned`).
    """

    experiment: Experiment
    jobs: dict[str, PlannedJob] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)  # what must be known before it starts, a line each
    outside: Outside | None = None  # where settings find out what the files are that they name
    _named: dict[tuple[str, str], str] = field(default_factory=dict)  # by stage and name
    _parts: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # by stage and what they are parts of

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.experiment.experiment

    def of_stage(self, *stages: str) -> list[str]:
        """Artefacts of some stages."""
        return [artefact for artefact, job in self.jobs.items() if job.recipe.stage in stages]

    def of_kind(self, stage: str, *kinds: str) -> list[str]:
        """Artefacts of some kinds of job of a stage; a kind of several words may be given by its first."""
        return [
            artefact
            for artefact in self.of_stage(stage)
            if {self.jobs[artefact].recipe.kind, self.jobs[artefact].recipe.kind.partition("/")[0]} & set(kinds)
        ]

    def targets(self, *stages: str) -> list[str]:
        """Artefacts of some stages that a job of their own makes."""
        return [artefact for artefact in self.of_stage(*stages) if self.jobs[artefact].made_by is None]

    def waits_for(self, artefact: str) -> list[str]:
        """Targets that must be there before a target's job starts: what it and all that it makes build on."""
        job = self.jobs[artefact]
        own = [name for name in job.recipe.upstream if self.jobs[name].made_by == artefact]
        needed = [name for made in (artefact, *own) for name in self.jobs[made].recipe.upstream if name not in own]
        return list(dict.fromkeys([*(self.jobs[name].made_by or name for name in needed), *job.after]))

    def upstream(self, artefacts: list[str]) -> list[str]:
        """Targets that make some artefacts and all that they build on, in the order of the plan."""
        wanted: set[str] = set()
        waiting = [self.jobs[artefact].made_by or artefact for artefact in artefacts]
        while waiting:
            target = waiting.pop()
            if target not in wanted:
                wanted.add(target)
                waiting += self.waits_for(target)
        return [artefact for artefact in self.jobs if artefact in wanted]

    def named(self, stage: str, name: str) -> str:
        """The artefact of a stage by its name without digest."""
        return self._named[stage, name]

    def parts(self, stage: str) -> dict[str, list[str]]:
        """Artefacts of a stage by the source, mixture, run, analysis or figure of the config that they are parts of."""
        return {name: artefacts for (of, name), artefacts in self._parts.items() if of == stage}

    def add(  # noqa: PLR0917
        self,
        stage: str,
        name: str,
        kind: str,
        settings: StrictModel,
        inputs: Inputs,
        execution: Execution,
        *,
        after: tuple[str, ...] = (),
        part_of: str | None = None,
    ) -> str:
        """Plan one job; returns its artefact.

        Args:
            stage, name, kind: of the recipe.
            settings: of the model that the kind of job has.
            inputs: artefacts by role.
            execution: of a model with at least the fields that the kind of job has.
            after: artefacts that must exist first without being part of the recipe.
            part_of: the source, run or analysis that it is a part of; its own name where it is whole.

        Raises:
            ConfigError: another job of the stage has the name already.
        """
        described = job_kind(stage, kind)
        if self.outside is not None:
            settings = identified(settings, self.outside)
        recipe = Recipe(stage, name, kind, described.logic_version, settings.semantic(), inputs)
        typed: Any = execution.narrowed(described.execution)
        if self._named.setdefault((stage, name), recipe.artefact) != recipe.artefact:
            raise ConfigError(f"{stage}: two jobs would be called '{name}'; rename one of what they are named after")
        self.jobs[recipe.artefact] = PlannedJob(recipe, settings, typed, after)
        self._parts.setdefault((stage, part_of or name), []).append(recipe.artefact)
        return recipe.artefact

    # -- what analyses ask for

    def sources(self) -> list[str]:
        return list(self.experiment.sources)

    def records(self, source: str) -> list[str]:
        """The records of a source, or of a translation."""
        return self._parts["translate" if source in self.experiment.translations else "sources", source]

    def images(self, source: str) -> list[str]:
        """The images of a source, which are a translation's too, none where it has none."""
        return self.of_source(self.experiment.origin_of(source), "images")

    def of_source(self, source: str, job: str) -> list[str]:
        """What one of a source's jobs makes, part by part; nothing where it has no such job."""
        return self.records(source) if job == "records" else self._parts.get(("sources", f"{source}-{job}"), [])

    def codes(self, source: str) -> list[str]:
        """The codes of these images."""
        return self._parts.get(("encode", self.experiment.origin_of(source)), [])

    def tokens(self, source: str, template: Template) -> list[str]:
        """The tokens of its records."""
        return self._parts["tokenize", tokens_name(source, template)]

    def benchmarks(self, source: str) -> str:
        """The benchmarks of a source, or of a translation."""
        stage = "translate" if source in self.experiment.translations else "sources"
        return self.named(stage, f"{source}-benchmarks")

    def tokenizer(self, of: Literal["text", "image"]) -> str | None:
        """A tokenizer, where the config has one."""
        return self._named.get(("tokenizers", of))

    def text_tokenizer(self) -> str:
        return self.named("tokenizers", "text")

    def pack(self, mixture: str) -> str:
        return self.named("pack", mixture)

    def pack_of(self, run: str) -> str:
        """The packs that a run trains on."""
        return self.pack(self.experiment.runs[run].mixture)

    def checkpoint(self, run: str, step: int) -> str:
        return self.named("train", checkpoint_name(run, step))

    def checkpoint_steps(self, run: str) -> list[int]:
        """Steps of a run's checkpoints."""
        assert self.experiment.train is not None
        return self.experiment.train.runs[run].checkpoints

    def compared_runs(self) -> list[str]:
        return self.experiment.compared_runs()

    def image_sampling(self) -> BenchmarkSampling:
        return self.experiment.generate.image_sampling

    def wording(self, run: str) -> Wording:
        return self.experiment.wording_of(run)

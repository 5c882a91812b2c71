"""The plan of an experiment: one recipe per job, and what each job may use of the machine.

What flows in: a checked `Experiment`. What flows out: a `Plan`, from which the workflow takes every path.
The stages are resolved in the order in which data flows, each from the artefacts of those before it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import digest_of
from unix_lib.config.experiment import Experiment, has_images
from unix_lib.config.jobs import JobShape
from unix_lib.config.models import PretrainedStart, RunStart
from unix_lib.config.strict import StrictModel
from unix_lib.config.tokenizers import PretrainedImageTokenizer, PretrainedTextTokenizer
from unix_lib.recipes.external import FileHashes, corpus_identity, files_identity, pretrained_identity
from unix_lib.recipes.logic import LOGIC_VERSIONS
from unix_lib.recipes.recipe import Recipe

STAGES = ("sources", "tokenizers", "encode", "pack", "train", "evaluate", "analyze", "figures", "report")


@dataclass(frozen=True)
class PlannedJob:
    """A recipe, the machine it asks for, and the artefacts that must exist first without being part of it."""

    recipe: Recipe
    shape: JobShape
    execution: dict[str, Any]
    after: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """All jobs of an experiment by artefact (`stage/name-digest`), in the order in which data flows."""

    experiment: str
    jobs: dict[str, PlannedJob] = field(default_factory=dict)

    def of_stage(self, *stages: str) -> list[str]:
        """Artefacts of some stages."""
        return [artefact for artefact, job in self.jobs.items() if job.recipe.stage in stages]

    def named(self, stage: str, name: str) -> str:
        """The artefact of a stage by its name without digest."""
        for artefact, job in self.jobs.items():
            if job.recipe.stage == stage and job.recipe.name == name:
                return artefact
        raise KeyError(f"{stage}/{name}")

    def add(self, recipe: Recipe, shape: JobShape, *configs: StrictModel, after: list[str] | None = None) -> str:
        execution: dict[str, Any] = {"job": shape.model_dump(mode="json")}
        for config in configs:
            for kind in ("numeric", "operational"):
                execution |= {name: value for name, value in config.of_kind(kind).items() if name != "job"}  # type: ignore[arg-type]
        self.jobs[recipe.artefact] = PlannedJob(recipe, shape, execution, after or [])
        return recipe.artefact


def checkpoint_name(run: str, step: int) -> str:
    """Name of a checkpoint's artefact: `<run>-step-00100`."""
    return f"{run}-step-{step:05d}"


def resolve(experiment: Experiment, root: Path, hashes: FileHashes | None = None) -> Plan:
    """Turn a config into recipes.

    Args:
        experiment: the checked config.
        root: folder against which relative paths in the config are read.
        hashes: cache of the hashes of external files.
    """
    hashes = hashes or FileHashes(None)
    plan = Plan(experiment.experiment)
    _sources(plan, experiment, root, hashes)
    _tokenizers(plan, experiment, root, hashes)
    _encode(plan, experiment)
    _pack(plan, experiment)
    _train(plan, experiment, root, hashes)
    _evaluate(plan, experiment, root, hashes)
    _analyze(plan, experiment)
    _figures(plan, experiment)
    _report(plan, experiment)
    hashes.save()
    return plan


def _sources(plan: Plan, experiment: Experiment, root: Path, hashes: FileHashes) -> None:
    for name, source in experiment.sources.items():
        settings = source.semantic()
        if source.kind == "image_folder":
            settings["files"] = files_identity([root / source.folder, root / source.captions], root, hashes)
        elif source.kind == "text" and source.corpus == "files":
            settings["identity"] = files_identity(
                sorted(path for pattern in source.files for path in root.glob(pattern)), root, hashes
            )
        elif source.kind == "text":
            settings["identity"] = corpus_identity()
        recipe = Recipe("sources", name, LOGIC_VERSIONS[f"source.{source.kind}"], settings)
        plan.add(recipe, experiment.sources_job)


def _tokenizers(plan: Plan, experiment: Experiment, root: Path, hashes: FileHashes) -> None:
    config = experiment.tokenizers
    for name, tokenizer in (("text", config.text), ("image", config.image)):
        settings = tokenizer.semantic()
        if isinstance(tokenizer, PretrainedTextTokenizer | PretrainedImageTokenizer):
            settings |= pretrained_identity(tokenizer.path, root, hashes)
        sources = settings.pop("sources", [])
        inputs: dict[str, str | list[str]] = {"sources": [plan.named("sources", s) for s in sources]} if sources else {}
        recipe = Recipe("tokenizers", name, LOGIC_VERSIONS[f"tokenizer.{tokenizer.kind}"], settings, inputs)
        plan.add(recipe, config.job, tokenizer)
    settings = {
        "codebook_size": config.image.shape.codebook_size,
        "codes_per_image": config.image.shape.codes_per_image,
        "multiple": config.vocabulary_multiple,
        "padded_text_vocabulary": config.padded_text_vocabulary,
    }
    if config.image_separator_every is not None:
        settings["image_separator_every"] = config.image_separator_every
    recipe = Recipe(
        "tokenizers",
        "vocabulary",
        LOGIC_VERSIONS["vocabulary"],
        settings,
        {"text_tokenizer": plan.named("tokenizers", "text")},
    )
    plan.add(recipe, JobShape(runtime_minutes=10))


def _encode(plan: Plan, experiment: Experiment) -> None:
    for name, source in experiment.sources.items():
        if has_images(source):
            inputs: dict[str, str | list[str]] = {
                "source": plan.named("sources", name),
                "image_tokenizer": plan.named("tokenizers", "image"),
            }
            recipe = Recipe("encode", name, LOGIC_VERSIONS["encode"], experiment.encode.semantic(), inputs)
            plan.add(recipe, experiment.encode.job, experiment.encode)


def _records(plan: Plan, experiment: Experiment, source: str) -> str:
    """Where a source's token-ready records are: encoded where it has images, else as they came."""
    return plan.named("encode" if has_images(experiment.sources[source]) else "sources", source)


def _pack(plan: Plan, experiment: Experiment) -> None:
    config = experiment.pack
    for name, mixture in config.mixtures.items():
        settings = {"length": config.length, "seed": config.seed} | mixture.semantic()
        inputs: dict[str, str | list[str]] = {
            "records": [_records(plan, experiment, part.source) for part in mixture.parts],
            "text_tokenizer": plan.named("tokenizers", "text"),
            "vocabulary": plan.named("tokenizers", "vocabulary"),
        }
        recipe = Recipe("pack", name, LOGIC_VERSIONS["pack"], settings, inputs)
        plan.add(recipe, config.job)


def _train(plan: Plan, experiment: Experiment, root: Path, hashes: FileHashes) -> None:
    config = experiment.train
    for name in _start_order(experiment):
        run = config.runs[name]
        settings = run.semantic()
        if isinstance(run.start, PretrainedStart):
            settings["start"] |= pretrained_identity(run.start.path, root, hashes)
        inputs: dict[str, str | list[str]] = {
            "pack": plan.named("pack", run.mixture),
            "text_tokenizer": plan.named("tokenizers", "text"),
            "vocabulary": plan.named("tokenizers", "vocabulary"),
        }
        if isinstance(run.start, RunStart):
            last = config.runs[run.start.run].checkpoints[-1]
            inputs["start"] = plan.named("train", checkpoint_name(run.start.run, last))
        # What all checkpoints of the run share: a later segment finds its predecessors by this.
        identity = digest_of([name, LOGIC_VERSIONS["train"], settings, inputs])
        previous: list[str] = []
        for step in run.checkpoints:
            recipe = Recipe(
                "train",
                checkpoint_name(name, step),
                LOGIC_VERSIONS["train"],
                {"run": name, "run_digest": identity, "step": step} | settings,
                inputs,
            )
            artefact = plan.add(recipe, config.job, config, after=previous)
            previous = [artefact]


def _start_order(experiment: Experiment) -> list[str]:
    """Run names, each after the run it starts from."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        start = experiment.train.runs[name].start
        if isinstance(start, RunStart) and start.run not in ordered:
            visit(start.run)
        if name not in ordered:
            ordered.append(name)

    for name in experiment.train.runs:
        visit(name)
    return ordered


def _evaluate(plan: Plan, experiment: Experiment, root: Path, hashes: FileHashes) -> None:
    config = experiment.evaluate
    image_tokenizer = plan.named("tokenizers", "image")
    described: dict[str, dict[str, Any]] = {}
    for name, benchmark in config.benchmarks.items():
        described[name] = benchmark.semantic() | {"logic_version": LOGIC_VERSIONS[f"evaluate.{benchmark.scorer}"]}
        if benchmark.file is not None:
            described[name]["identity"] = files_identity([root / benchmark.file], root, hashes)
        if benchmark.scorer == "geneval":
            described[name]["image_sampling"] = config.image_sampling.semantic()
        elif benchmark.scorer != "lm_eval":
            described[name]["max_answer_tokens"] = config.max_answer_tokens
            described[name]["question_suffix"] = config.question_suffix

    for run in experiment.compared_runs():
        for step in experiment.train.runs[run].checkpoints:
            for group, names in config.groups.items():
                inputs: dict[str, str | list[str]] = {"checkpoint": plan.named("train", checkpoint_name(run, step))}
                if any(config.benchmarks[n].scorer != "lm_eval" for n in names):
                    inputs["image_tokenizer"] = image_tokenizer
                for n in names:
                    source = config.benchmarks[n].source
                    if source is not None:
                        inputs[f"benchmark:{n}"] = plan.named("sources", source)
                settings = {
                    "run": run,
                    "step": step,
                    "group": group,
                    "benchmarks": {n: described[n] for n in names},
                    "bootstrap_samples": config.bootstrap_samples,
                }
                version = 1  # the benchmarks carry their scorers' logic versions
                recipe = Recipe("evaluate", f"{checkpoint_name(run, step)}-{group}", version, settings, inputs)
                plan.add(recipe, config.job, config)

    for name, benchmark in config.benchmarks.items():
        if benchmark.scorer == "geneval" and benchmark.source is not None:
            settings = {"benchmark": name, "bootstrap_samples": config.bootstrap_samples}
            recipe = Recipe(
                "evaluate",
                f"ceiling-{name}",
                LOGIC_VERSIONS["ceiling"],
                settings,
                {"source": plan.named("sources", benchmark.source), "image_tokenizer": image_tokenizer},
            )
            plan.add(recipe, config.job, config)


def _analyze(plan: Plan, experiment: Experiment) -> None:
    config = experiment.analyze
    pack = plan.named("pack", config.conflict.mixture)
    for run in config.conflict.runs or experiment.compared_runs():
        for step in config.conflict.steps or [s for s in experiment.train.runs[run].checkpoints if s]:
            recipe = Recipe(
                "analyze",
                f"conflict-{checkpoint_name(run, step)}",
                LOGIC_VERSIONS["analyze.conflict"],
                {"run": run, "step": step} | config.conflict.semantic(),
                {"checkpoint": plan.named("train", checkpoint_name(run, step)), "pack": pack},
            )
            plan.add(recipe, config.job)
    inputs: dict[str, str | list[str]] = {
        "records": [_records(plan, experiment, source) for source in config.entropy.sources],
        "text_tokenizer": plan.named("tokenizers", "text"),
    }
    plan.add(
        Recipe("analyze", "entropy", LOGIC_VERSIONS["analyze.entropy"], config.entropy.semantic(), inputs), config.job
    )


def _results_for_figures(plan: Plan, experiment: Experiment) -> dict[str, list[str]]:
    """Roles that figures read, each with its artefacts."""
    evaluations = plan.of_stage("evaluate")
    last_checkpoints = [
        plan.named("train", checkpoint_name(name, run.checkpoints[-1])) for name, run in experiment.train.runs.items()
    ]
    analyses = plan.of_stage("analyze")
    return {
        "evaluations": [a for a in evaluations if not a.startswith("evaluate/ceiling-")],
        "ceilings": [a for a in evaluations if a.startswith("evaluate/ceiling-")],
        "checkpoints": last_checkpoints,
        "conflicts": [a for a in analyses if a.startswith("analyze/conflict-")],
        "entropy": [a for a in analyses if a.startswith("analyze/entropy-")],
    }


FIGURE_ROLES: dict[str, tuple[str, ...]] = {
    "conditional_entropy": ("entropy",),
    "gradient_conflict": ("conflicts",),
    "scores_over_tokens": ("evaluations", "ceilings"),
    "loss_curves": ("checkpoints",),
    "generated_samples": ("evaluations",),
    "table1_text": ("evaluations",),
    "table2_multimodal": ("evaluations",),
    "table3_architectures": ("evaluations", "checkpoints"),
    "table4_splits": ("evaluations",),
    "claims": ("evaluations", "ceilings", "checkpoints", "conflicts", "entropy"),
}


def _figures(plan: Plan, experiment: Experiment) -> None:
    results = _results_for_figures(plan, experiment)
    for name in experiment.figures.names:
        inputs: dict[str, str | list[str]] = {role: results[role] for role in FIGURE_ROLES[name]}
        recipe = Recipe("figures", name, LOGIC_VERSIONS["figures"], {"scale": experiment.report.scale}, inputs)
        plan.add(recipe, experiment.figures.job)


def _report(plan: Plan, experiment: Experiment) -> None:
    inputs: dict[str, str | list[str]] = {"figures": plan.of_stage("figures")}
    results = _results_for_figures(plan, experiment)
    inputs |= {role: results[role] for role in ("evaluations", "ceilings", "checkpoints")}
    inputs["data"] = plan.of_stage("sources", "tokenizers", "encode", "pack")
    recipe = Recipe("report", "summary", LOGIC_VERSIONS["report"], experiment.report.semantic(), inputs)
    plan.add(recipe, experiment.figures.job)

"""From a checked config to its plan: the stages in the order in which data flows, each on the artefacts before it.

A stage plans what its section of the config asks for and nothing else, so a config may end after any of them.
"""

from pathlib import Path

from unix_lib.artefacts.files import digest_of
from unix_lib.artefacts.names import checkpoint_name
from unix_lib.config.analyze import AnalysisKind, AnalysisSettings, Inputs
from unix_lib.config.encode import EncodeSettings
from unix_lib.config.evaluate import ScorerKind
from unix_lib.config.experiment import Experiment
from unix_lib.config.figures import DrawnFigure, FigureKind, FigureSettings
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.hub import not_pinned
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import find_kind, known_kinds
from unix_lib.config.models import RunStart
from unix_lib.config.outside import Outside, identified
from unix_lib.config.sources import SourceKind, SourcePlanning, shard_name
from unix_lib.config.strict import ConfigError
from unix_lib.config.tokenize import TokenizeSettings, tokens_name
from unix_lib.config.tokenizers import TokenizerKind
from unix_lib.config.train import CHECKPOINT, CheckpointSettings
from unix_lib.config.translate import TranslatedBenchmarks, TranslatedRecords
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.report import plan_report
from unix_lib.recipes.scale import scale_of
from unix_lib.recipes.scores import Subject, plan_answers, plan_group, plan_scores
from unix_lib.recipes.starts import start_order


def resolve(experiment: Experiment, root: Path, hashes: FileHashes | None = None) -> Plan:
    """Turn a config into recipes; its relative paths begin at `root`, `hashes` remembers those of outside files."""
    outside = Outside(root, hashes or FileHashes(None))
    plan = Plan(experiment, notices=experiment.notices(outside), outside=outside)
    _sources(plan, outside)
    _translate(plan)
    _tokenizers(plan)
    _encode(plan)
    _tokenize(plan)
    _pack(plan)
    _train(plan, outside)
    _evaluate(plan)
    _analyze(plan)
    roles = _results_by_role(plan)
    _figures(plan, roles)
    plan_report(plan, roles)
    outside.hashes.save()
    plan.notices += [f"{fault}; run `python -m unix_lib inventory CONFIG`" for fault in outside.hashes.faults]
    if fault := not_pinned(experiment):
        plan.notices.append(f"Jobs will be refused: {fault}.")
    return plan


def _sources(plan: Plan, outside: Outside) -> None:
    execution = Execution(job=plan.experiment.sources_job)
    benchmarks = plan.experiment.benchmarks.values()
    benchmark_files = {file: layout for one in benchmarks for file, layout in one.image_files().items()}
    for name, source in plan.experiment.sources.items():
        kind = find_kind("source", source.kind, SourceKind)
        for job in kind.JOBS:
            described = getattr(kind, job)
            if described is None or not source.makes(job):
                continue
            whole = name if job == "records" else f"{name}-{job}"
            shards = source.shards(outside) if job in kind.sharded else 1
            if shards > plan.experiment.most_shards:
                raise ConfigError(
                    f"sources.{name}: {shards} parts are more than most_shards {plan.experiment.most_shards}; make the "
                    "parts larger (its key that begins with 'shard_'), or raise most_shards"
                )
            for shard in range(shards):
                # A part of one job reads that part of another; a job that is not cut reads all of it.
                inputs: Inputs = {
                    role: made[shard : shard + 1] if {job, role} <= {*kind.sharded} else list(made)
                    for role in kind.reads.get(job, ())
                    if (made := plan.of_source(name, role))
                }
                planning = SourcePlanning(name, plan.experiment.held_out, shard, benchmark_files)
                settings = source.settings_of(described.settings, planning)
                artefact, job_of = shard_name(whole, shard), f"{source.kind}/{job}"
                plan.add("sources", artefact, job_of, settings, inputs, execution, part_of=whole)


def _translate(plan: Plan) -> None:
    config = plan.experiment.translate
    for name, translation in config.translations.items():
        if translation.records:
            settings = translation.narrowed(TranslatedRecords, translation=name)
            for shard, records in enumerate(plan.records(translation.source)):
                part = shard_name(name, shard)
                plan.add("translate", part, "records", settings, {"records": records}, config, part_of=name)
        if translation.benchmarks:
            asked = translation.narrowed(TranslatedBenchmarks, translation=name)
            inputs: Inputs = {"benchmarks": plan.benchmarks(translation.source)}
            plan.add("translate", f"{name}-benchmarks", "benchmarks", asked, inputs, config)


def _tokenizers(plan: Plan) -> None:
    config = plan.experiment.tokenizers
    for name, tokenizer in (("text", config.text), ("image", config.image)):
        if tokenizer is None:
            continue
        kind = find_kind("text tokenizer" if name == "text" else "image tokenizer", tokenizer.kind, TokenizerKind)
        roles = ("records",) if name == "text" else ("images", "screening")
        trained_on = {
            role: [artefact for source in tokenizer.trained_on() for artefact in plan.of_source(source, role)]
            for role in roles
        }
        plan.add(
            "tokenizers",
            name,
            f"{name}/{tokenizer.kind}",
            tokenizer.narrowed(kind.job.settings),
            {role: artefacts for role, artefacts in trained_on.items() if artefacts},
            # What a kind adds to the shape of its job stands in its own section.
            tokenizer.narrowed(kind.job.execution, job=config.job),
        )
    if config.text is not None and config.image is not None:
        inputs: Inputs = {"text_tokenizer": plan.text_tokenizer()}
        execution = Execution(job=JobShape(runtime_minutes=10))
        plan.add("tokenizers", "vocabulary", "vocabulary", config.vocabulary(), inputs, execution)


def _encode(plan: Plan) -> None:
    if plan.experiment.tokenizers.image is None:
        return
    tokenizer = plan.named("tokenizers", "image")
    for name in plan.experiment.sources:
        for shard, images in enumerate(plan.images(name)):
            inputs: Inputs = {"images": images, "image_tokenizer": tokenizer}
            if screening := plan.of_source(name, "screening"):
                inputs["screening"] = list(screening)
            part = shard_name(name, shard)
            config = plan.experiment.encode
            plan.add("encode", part, "codes", config.narrowed(EncodeSettings), inputs, config, part_of=name)


def _tokenize(plan: Plan) -> None:
    mixed = {(part.source, mixture.template) for mixture in plan.experiment.mixtures.values() for part in mixture.parts}
    for source, template in sorted(mixed):
        name, settings = tokens_name(source, template), TokenizeSettings(template=template)
        for shard, records in enumerate(plan.records(source)):
            inputs: Inputs = {"records": records, "text_tokenizer": plan.text_tokenizer()}
            part = shard_name(name, shard)
            plan.add("tokenize", part, "tokens", settings, inputs, plan.experiment.tokenize, part_of=name)


def _pack(plan: Plan) -> None:
    config = plan.experiment.pack
    if config is None:
        return
    for name, mixture in config.mixtures.items():
        inputs: Inputs = {
            "text_tokenizer": plan.text_tokenizer(),
            "vocabulary": plan.named("tokenizers", "vocabulary"),
        }
        for part in mixture.parts:
            inputs[f"tokens:{part.source}"] = plan.tokens(part.source, mixture.template)
            if codes := plan.codes(part.source):
                inputs[f"codes:{part.source}"] = codes
        plan.add("pack", name, "packs", plan.experiment.pack_settings(name), inputs, config)


def _train(plan: Plan, outside: Outside) -> None:
    config = plan.experiment.train
    if config is None:
        return
    for name in start_order(plan.experiment):
        run = config.runs[name]
        start = run.start
        inputs: Inputs = {
            "pack": plan.pack(run.mixture),
            "text_tokenizer": plan.text_tokenizer(),
            "vocabulary": plan.named("tokenizers", "vocabulary"),
        }
        if isinstance(start, RunStart):
            inputs["start"] = plan.checkpoint(start.run, config.runs[start.run].checkpoints[-1])
        settings = identified(run.narrowed(CheckpointSettings, start=start, run=name, run_digest="", step=0), outside)
        # What all checkpoints of the run share: a later segment finds its predecessors by this.
        shared = {key: value for key, value in settings.semantic().items() if key not in ("run_digest", "step")}
        identity = digest_of([name, CHECKPOINT.logic_version, shared, inputs])
        after: tuple[str, ...] = ()
        for step in run.checkpoints:
            of_step = settings.model_copy(update={"run_digest": identity, "step": step})
            artefact = checkpoint_name(name, step)
            after = (plan.add("train", artefact, "checkpoint", of_step, inputs, config, after=after, part_of=name),)


def _evaluate(plan: Plan) -> None:
    config = plan.experiment.evaluate
    if config is None:
        return
    tokenizer = plan.tokenizer("image")
    for run in plan.compared_runs():
        trained_on = plan.experiment.runs[run].mixture
        for step in plan.checkpoint_steps(run):
            subject = Subject(run, step, plan.checkpoint(run, step), tokenizer, plan.wording(run))
            for group, names in config.groups.items():
                if config.mixtures.get(group, trained_on) != trained_on:
                    continue
                members = {name: plan_answers(plan, config, subject, name, plan) for name in names}
                plan_group(plan, subject, group, list(members.values()))
                plan_scores(plan, config, subject, group, members, plan)
    judges = config.all_judges()
    for name, benchmark in config.benchmarks.items():
        kind = find_kind("scorer", benchmark.scorer, ScorerKind)
        if kind.ceiling is not None and benchmark.source is not None:
            scoring = benchmark.scoring(kind.scoring, plan.experiment.generate, judges)
            others = {"benchmark": name, "bootstrap_samples": config.bootstrap_samples}
            plan.add(
                "evaluate",
                f"ceiling-{name}",
                f"ceiling/{benchmark.scorer}",
                scoring.narrowed(kind.ceiling.settings, **others),
                {
                    "benchmark": plan.benchmarks(benchmark.source),
                    "image_tokenizer": plan.named("tokenizers", "image"),
                },
                config.narrowed(kind.ceiling.execution, batch_size=plan.experiment.generate.batch_size),
            )


def _analyze(plan: Plan) -> None:
    config = plan.experiment.analyze
    for name, analysis in (_of_every_experiment(plan) | config.analyses).items():
        for job in analysis.jobs(name, plan):
            plan.add("analyze", job.name, analysis.kind, job.settings, job.inputs, config, part_of=name)


def _of_every_experiment(plan: Plan) -> dict[str, AnalysisSettings]:
    """Analyses that the config doesn't name, for figures that it draws."""
    names = plan.experiment.figures.names
    figures = known_kinds("figure") if names is None else [figure.kind for figure in names]
    read = {role for figure in figures for role in find_kind("figure", figure, FigureKind).reads}
    read -= {analysis.kind for analysis in plan.experiment.analyze.analyses.values()}
    kinds = {name: find_kind("analysis", name, AnalysisKind) for name in known_kinds("analysis") if name in read}
    return {name: kind.settings(kind=name) for name, kind in kinds.items() if kind.of_every_experiment}


def _results_by_role(plan: Plan) -> dict[str, list[str]]:
    """What figures may read, by role; see `unix_lib.config.figures.FigureKind`."""
    train = plan.experiment.train
    roles = {
        "evaluations": plan.of_kind("evaluate", "scores"),
        "ceilings": plan.of_kind("evaluate", "ceiling"),
        "images": [a for a in plan.of_stage("generate") if _generates_images(plan, a)],
        "checkpoints": [
            plan.checkpoint(name, run.checkpoints[-1]) for name, run in (train.runs.items() if train else ())
        ],
    }
    for kind in sorted({plan.jobs[artefact].recipe.kind for artefact in plan.of_stage("analyze")}):
        role = kind.rpartition(".")[2]
        if role in roles:
            raise ConfigError(f"analyze: figures read something else as '{role}'; rename the module of kind '{kind}'")
        roles[role] = plan.of_kind("analyze", kind)
    return roles


def _generates_images(plan: Plan, artefact: str) -> bool:
    kind = plan.jobs[artefact].recipe.kind
    return kind != "group" and find_kind("scorer", kind, ScorerKind).family == "generation"


def _figures(plan: Plan, roles: dict[str, list[str]]) -> None:
    config = plan.experiment.figures
    scale = scale_of(plan.experiment)
    for figure in _chosen_figures(plan, roles):
        kind = find_kind("figure", figure.kind, FigureKind)
        inputs: Inputs = {role: roles[role] for role in (*kind.reads, *kind.also_reads) if roles.get(role)}
        plan.add("figures", figure.name, figure.kind, DrawnFigure(figure=figure, scale=scale), inputs, config)


def _chosen_figures(plan: Plan, roles: dict[str, list[str]]) -> list[FigureSettings]:
    """The figures that the config names; without names, each of the project's own that has all it reads."""
    if plan.experiment.figures.names is not None:
        return plan.experiment.figures.names
    own = {name: find_kind("figure", name, FigureKind) for name in known_kinds("figure")}
    return [
        kind.settings(kind=name)
        for name, kind in own.items()
        if not kind.only_named and all(roles.get(role) for role in kind.reads)
    ]

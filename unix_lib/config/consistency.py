"""Checks that span the sections of a config: every fault, a line each."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from unix_lib.config.evaluate import JudgedBenchmark, JudgeKind, ScorerKind
from unix_lib.config.experiment import Experiment
from unix_lib.config.jobs import JobShape
from unix_lib.config.kinds import find_kind
from unix_lib.config.models import RunStart
from unix_lib.config.sources import SourceKind
from unix_lib.config.strict import nearest

LONGEST_NAME = 60
NAME = re.compile(r"[a-z0-9][a-z0-9._]*(-[a-z0-9._]+)*")
SPECIAL_TOKENS_PER_IMAGE = 2  # <|vision_start|> and <|vision_end|>


def faults(experiment: Experiment) -> list[str]:
    """What keeps an experiment from being planned."""
    # Later checks follow the names that earlier ones looked at.
    for checks in ((_names, _stages), (_references,), (_circles,)):
        found = [fault for check in checks for fault in check(experiment)]
        if found:
            return found
    found = []
    for check in (_images, _plans, _translations, _benchmarks, _prompts, _analyses, _machines):
        found += check(experiment)
    return found


def _names(experiment: Experiment) -> Iterator[str]:
    named: dict[str, Iterable[str]] = {
        "experiment": [experiment.experiment],
        "sources": experiment.sources,
        "translate.translations": experiment.translations,
        "pack.mixtures": experiment.mixtures,
        "train.runs": experiment.runs,
        "evaluate.groups": experiment.evaluate.groups if experiment.evaluate else [],
        "evaluate.benchmarks": experiment.benchmarks,
        "analyze": experiment.analyze.analyses,
    }
    for where, names in named.items():
        for name in names:
            if not NAME.fullmatch(name):
                yield f"{where}: '{name}' can't be a folder name; use a-z, 0-9, '.', '_' and single '-'"
            elif len(name) > LONGEST_NAME:
                yield f"{where}: '{name}' is longer than {LONGEST_NAME} characters; a folder's name holds several"
    # Both stand where records are named.
    sources = [*experiment.sources, *experiment.translations]
    for name in sources:
        where = "translate.translations" if name in experiment.translations else "sources"
        owner, _, job = name.rpartition("-")
        if sources.count(name) > 1:
            yield f"translate.translations: '{name}' is the name of a source; rename one of them"
        elif owner in sources and job in SourceKind.JOBS:
            yield f"{where}: '{name}' is what the {job} of source '{owner}' are called; rename it"
        elif owner in sources and len(job) == 4 and job.isdigit():
            yield f"{where}: '{name}' is what a part of source '{owner}' is called; rename it"


def _references(experiment: Experiment) -> Iterator[str]:
    tokenizers, sources = experiment.tokenizers, list(experiment.sources)
    translations = experiment.translations
    with_records = sources + [name for name, translation in translations.items() if translation.records]
    mixtures, runs = list(experiment.mixtures), list(experiment.runs)
    judges = list(experiment.evaluate.all_judges()) if experiment.evaluate else []
    used: list[tuple[str, str, str, list[str]]] = []  # where, what, name, known
    used += [(f"translate.translations.{name}.source", "source", t.source, sources) for name, t in translations.items()]
    for kind, tokenizer, known in (("text", tokenizers.text, with_records), ("image", tokenizers.image, sources)):
        trained_on = tokenizer.trained_on() if tokenizer else []
        used += [(f"tokenizers.{kind}.sources", "source", name, known) for name in trained_on]
    for name, mixture in experiment.mixtures.items():
        used += [(f"pack.mixtures.{name}.parts", "source", part.source, with_records) for part in mixture.parts]
    for name, run in experiment.runs.items():
        used.append((f"train.runs.{name}.mixture", "mixture", run.mixture, mixtures))
        if isinstance(run.start, RunStart):
            used.append((f"train.runs.{name}.start.run", "run", run.start.run, runs))
    for name, benchmark in experiment.benchmarks.items():
        if benchmark.source is not None:
            known = [*sources, *translations]
            used.append((f"evaluate.benchmarks.{name}.source", "source", benchmark.source, known))
        if isinstance(benchmark, JudgedBenchmark):
            used.append((f"evaluate.benchmarks.{name}.judge", "judge", benchmark.judge, judges))
        if (reader := benchmark.reader()) is not None:
            used.append((f"evaluate.benchmarks.{name}.judge", "judge", reader, judges))
    answered = experiment.evaluate.mixtures if experiment.evaluate else {}
    used += [(f"evaluate.mixtures.{group}", "mixture", mixture, mixtures) for group, mixture in answered.items()]
    named_by = {"sources": ("source", with_records), "mixture": ("mixture", mixtures), "runs": ("run", runs)}
    for analysis, settings in experiment.analyze.analyses.items():
        for what, names in settings.names().items():
            used += [(f"analyze.{analysis}.{what}", named_by[what][0], n, named_by[what][1]) for n in names]
    for where, what, name, names in used:
        if name not in names:
            yield f"{where}: unknown {what} '{name}'; {nearest(name, names)}"
    named = Counter((where, name) for where, _, name, _ in used)
    yield from (
        f"{where}: '{name}' is named twice; name it once" for (where, name), count in named.items() if count > 1
    )


def _circles(experiment: Experiment) -> Iterator[str]:
    for name in experiment.runs:
        try:
            experiment.shape_of(name)
        except ValueError as error:
            yield str(error)
            return


def _stages(experiment: Experiment) -> Iterator[str]:
    """A stage needs those before it."""
    tokenizers = experiment.tokenizers
    if experiment.pack is not None:
        for kind, tokenizer in (("text", tokenizers.text), ("image", tokenizers.image)):
            if tokenizer is None:
                yield f"pack: packs need both tokenizers; give tokenizers.{kind}"
    if experiment.train is not None and experiment.pack is None:
        yield "train: runs need packs; give pack.mixtures"
    if experiment.evaluate is not None and experiment.train is None:
        yield "evaluate: benchmarks need checkpoints; give train.runs"


def _images(experiment: Experiment) -> Iterator[str]:
    if experiment.tokenizers.image is None:
        return
    shape = experiment.tokenizers.image.shape
    with_images = {name: experiment.sources[name] for name in experiment.sources_with_images()}
    if experiment.pack is not None and with_images:
        needed = _codes_and_separators(experiment) + SPECIAL_TOKENS_PER_IMAGE
        if experiment.pack.length <= needed:
            yield (
                f"pack.length {experiment.pack.length} is too short for an image of {shape.codes_per_image} codes, its "
                f"separators and its two markers; set it above {needed}"
            )
    for name, source in with_images.items():
        size = getattr(source, "image_size", shape.image_size)
        if size != shape.image_size:
            yield (
                f"sources.{name}.image_size is {size}, tokenizers.image.shape.image_size is {shape.image_size}; give "
                "both the same value"
            )


def _codes_and_separators(experiment: Experiment) -> int:
    assert experiment.tokenizers.image is not None
    codes, every = experiment.tokenizers.image.shape.codes_per_image, experiment.tokenizers.image_separator_every
    return codes + (0 if every is None else codes // every)


def _plans(experiment: Experiment) -> Iterator[str]:
    for name, run in experiment.runs.items():
        fault = run.plan.misfit(experiment.shape_of(name).layers)
        if fault is not None:
            yield f"train.runs.{name}.plan: {fault}"


def _translations(experiment: Experiment) -> Iterator[str]:
    for name, translation in experiment.translations.items():
        made = experiment.benchmarks_of(translation.source)
        for benchmark in translation.benchmarks:
            if benchmark not in made:
                yield (
                    f"translate.translations.{name}.benchmarks: source '{translation.source}' makes no {benchmark} "
                    f"benchmark, but {', '.join(made) or 'none'}; leave it out"
                )


def _benchmarks(experiment: Experiment) -> Iterator[str]:
    judges = experiment.evaluate.all_judges() if experiment.evaluate else {}
    pictured = experiment.sources_with_captions()
    captioned = [name for name in experiment.with_records if experiment.origin_of(name) in pictured]
    mixtures = {experiment.runs[run].mixture for run in experiment.runs}
    trained = {part.source for mixture in mixtures for part in experiment.mixtures[mixture].parts}
    for name, benchmark in experiment.benchmarks.items():
        if isinstance(benchmark, JudgedBenchmark):
            kind = judges[benchmark.judge].kind
            answers = find_kind("judge", kind, JudgeKind).answers
            if benchmark.asks not in answers:
                yield (
                    f"evaluate.benchmarks.{name}.judge: a judge of kind {kind} answers {', '.join(answers)}, and it is "
                    f"asked for {benchmark.asks}; name another judge"
                )
        for fault in benchmark.faults(captioned, trained):
            yield f"evaluate.benchmarks.{name}.{fault}"
        if benchmark.source is None or benchmark.of_records:
            continue
        made = experiment.benchmarks_of(benchmark.source)
        if benchmark.made() not in made:
            sources = [*experiment.sources, *experiment.translations]
            makers = [n for n in sources if benchmark.made() in experiment.benchmarks_of(n)]
            does = f"source '{makers[0]}' does" if makers else "no source here does, so give 'file'"
            yield (
                f"evaluate.benchmarks.{name}.source: '{benchmark.source}' makes no {benchmark.made()} benchmark, but "
                f"{', '.join(made) or 'none'}; {does}"
            )


def _prompts(experiment: Experiment) -> Iterator[str]:
    """Training takes documents of any length; caches for generation are made for `max_positions`."""
    scorers = {benchmark.scorer for benchmark in experiment.benchmarks.values()}
    if all(find_kind("scorer", name, ScorerKind).family != "generation" for name in scorers):
        return
    for name in experiment.compared_runs():
        positions = experiment.shape_of(name).max_positions
        if positions <= _codes_and_separators(experiment):
            yield (
                f"train.runs.{name}: max_positions {positions} leaves no room for a prompt before the "
                f"{_codes_and_separators(experiment)} codes and separators of an image that a benchmark generates; "
                "raise max_positions"
            )


def _analyses(experiment: Experiment) -> Iterator[str]:
    for name, analysis in experiment.analyze.analyses.items():
        for fault in analysis.faults(experiment.train):
            yield f"analyze.{name}.{fault}"


def _machines(experiment: Experiment) -> Iterator[str]:
    """Jobs ask for what they use; else a cluster would hold GPUs and nodes that stand idle."""
    on_cpu = {
        "sources_job": experiment.sources_job,
        "translate.job": experiment.translate.job,
        "tokenizers.job": experiment.tokenizers.job,
        "figures.job": experiment.figures.job,
        "pack.job": experiment.pack.job if experiment.pack else JobShape(),
    }
    on_gpus = {
        "encode.job": experiment.encode.job,
        "generate.job": experiment.generate.job,
        "analyze.job": experiment.analyze.job,
        "evaluate.job": experiment.evaluate.job if experiment.evaluate else JobShape(),
    }
    for where, shape in (on_cpu | on_gpus).items():
        if shape.gpus and where in on_cpu:
            yield f"{where}.gpus is {shape.gpus}, and these jobs work on the CPU; set it to 0"
        if shape.nodes > 1:
            yield f"{where}.nodes is {shape.nodes}, and only training uses several; set it to 1"

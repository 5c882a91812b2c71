"""`plan`: runs x stages before anything runs; what is done, what would run and why, and what it would cost."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import Recipe, RecipeError, read_recipe
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.config import Experiment
from unix_lib.config.tokenizers import PretrainedTextTokenizer
from unix_lib.architectures.costs import DecoderCosts, decoder_costs
from unix_lib.architectures.plans import architecture_label, layer_plan
from unix_lib.recipes.estimate import WallTimes
from unix_lib.recipes.plan import STAGES, PlannedJob

QWEN_SPECIAL_TOKENS = 22  # ids that a tokenizer may add to its vocabulary_size; the padding hides the difference


def vocabulary_rows(config: Experiment) -> int:
    """Rows of the embedding that a config leads to, before the tokenizer exists."""
    tokenizers = config.tokenizers
    text = tokenizers.padded_text_vocabulary
    if text is None:
        if isinstance(tokenizers.text, PretrainedTextTokenizer):
            return tokenizers.image.shape.codebook_size
        size, multiple = tokenizers.text.vocabulary_size + QWEN_SPECIAL_TOKENS, tokenizers.vocabulary_multiple
        text = -(-size // multiple) * multiple
    return text + tokenizers.image.shape.codebook_size


def run_costs(config: Experiment, run: str) -> DecoderCosts:
    """Costs of a run's decoder."""
    shape = config.shape_of(run)
    plans = layer_plan(config.train.runs[run].plan, shape.layers)
    return decoder_costs(
        shape,
        plans,
        vocabulary_rows(config),
        bytes_per_value=2 if config.train.precision == "bfloat16" else 4,
        gradient_checkpointing=config.train.gradient_checkpointing,
    )


def run(path: Path, console: Console) -> int:
    """Print the plan of a config."""
    experiment = PlannedExperiment.load(path)
    config, results = experiment.config, experiment.results
    missing = {a: job for a, job in experiment.plan.jobs.items() if not (results / a / MANIFEST).is_file()}

    runs = Table(title=f"Runs of {config.experiment}", title_justify="left")
    for heading in (
        "run",
        "architecture",
        "parameters",
        "active (text / vision)",
        "steps",
        "tokens",
        "trained",
        "evaluated",
        "analysed",
    ):
        runs.add_column(heading, justify="left" if heading in ("run", "architecture") else "right")
    for name, settings in config.train.runs.items():
        costs = run_costs(config, name)
        optimization = settings.optimization
        tokens = settings.checkpoints[-1] * optimization.packs_per_step * config.pack.length
        done = [_done(experiment, missing, stage, name) for stage in ("train", "evaluate", "analyze")]
        runs.add_row(
            name,
            architecture_label(settings.plan),
            _short(costs.parameters_total),
            pair(_short(costs.text.parameters), _short(costs.vision.parameters)),
            str(settings.checkpoints[-1]),
            f"<= {_short(tokens)}",
            *done,
        )
    console.print(runs)

    times = WallTimes(results)
    skipped = times.skipped
    stages = Table(title="Stages", title_justify="left")
    for heading in ("stage", "jobs", "done", "would run", "estimated", "why"):
        stages.add_column(heading, justify="left" if heading in ("stage", "why") else "right")
    total: list[float] = []
    known = True
    for stage in STAGES:
        jobs = experiment.plan.of_stage(stage)
        due = [missing[a] for a in jobs if a in missing]
        estimates = [times.estimate(job.recipe) for job in due]
        measured = [seconds for seconds in estimates if seconds is not None]
        total += measured
        known = known and len(measured) == len(estimates)
        estimated = "" if not due else _seconds(sum(measured)) if len(measured) == len(due) else "not measured yet"
        stages.add_row(
            stage, str(len(jobs)), str(len(jobs) - len(due)), str(len(due)), estimated, _why(due, results, skipped)
        )
    for line in skipped:
        console.print(f"[yellow]skipped[/] {escape(line)}", soft_wrap=True, highlight=False)
    console.print(stages)
    if missing:
        longest = "" if known else " and what was never measured here"
        console.print(
            f"{len(missing)} jobs would run: {_seconds(sum(total))} of job time{longest}, shared by parallel jobs"
        )
    else:
        console.print("Nothing would run: every artefact of this config exists.")
    return 0


def _done(experiment: PlannedExperiment, missing: dict[str, PlannedJob], stage: str, run_name: str) -> str:
    jobs = [
        artefact
        for artefact in experiment.plan.of_stage(stage)
        if experiment.plan.jobs[artefact].recipe.settings.get("run") == run_name
    ]
    return f"{sum(artefact not in missing for artefact in jobs)}/{len(jobs)}" if jobs else "-"


def _why(due: list[PlannedJob], results: Path, skipped: list[str]) -> str:
    """The reasons jobs are due: new, or which settings or inputs differ from the newest recipe of that name.

    Recipes that can't be read are added to `skipped`.
    """
    reasons: dict[str, int] = {}
    for job in due:
        reason = _difference(job.recipe, results, skipped)
        reasons[reason] = reasons.get(reason, 0) + 1
    return "; ".join(f"{reason} ({count})" if len(due) > 1 else reason for reason, count in reasons.items())


def _difference(recipe: Recipe, results: Path, skipped: list[str]) -> str:
    paths = [
        path
        for path in (results / "recipes" / recipe.stage).glob(f"{recipe.name}-????????????.json")
        if (results / recipe.stage / path.stem / MANIFEST).is_file()
    ]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            newest = read_recipe(path)
        except RecipeError as error:
            skipped.append(str(error))
            continue
        changed = _changed_keys(newest.settings, recipe.settings)
        if changed:
            return "changed: " + ", ".join(changed)
        return "changed upstream" if newest.logic_version == recipe.logic_version else "new logic version"
    return "earlier recipe unreadable" if paths else "never made"


def _changed_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name), new.get(name)
        if name == "run_digest" or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            keys += _changed_keys(before, after, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def pair(text: str, vision: str) -> str:
    """Two figures of text and vision tokens, once where they are the same."""
    return text if text == vision else f"{text} / {vision}"


def _short(number: int) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

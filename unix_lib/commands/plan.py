"""`plan`: runs x stages before anything runs; what is done, what would run and why, and what it would cost."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.architectures.plans import architecture_label
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.marks import NOT_MEASURED, marked
from unix_lib.commands.plan_mixtures import print_mixtures
from unix_lib.commands.power import short_table
from unix_lib.recipes.changes import reason_of
from unix_lib.recipes.costs import run_costs, run_tokens
from unix_lib.recipes.disk import disk_bytes
from unix_lib.recipes.estimate import Estimate, Estimates
from unix_lib.recipes.of_runs import OF_RUNS, jobs_of_run
from unix_lib.recipes.plan import STAGES, Plan
from unix_lib.recipes.scale import short
from unix_lib.recipes.schedule import TimedJob, wall_seconds
from unix_lib.recipes.sharing import shareable
from unix_lib.recipes.workspace import unfinished
from unix_lib.watch.at_work import at_work


@dataclass(frozen=True)
class Cost:
    """What jobs would cost together."""

    jobs: int
    seconds: float
    low: float  # seconds, if every estimate is too high
    high: float  # and if every one is too low
    gpu_hours: float
    measured: bool  # all of them, by jobs of their kinds
    disk: float  # bytes

    @property
    def time(self) -> str:
        return "" if not self.jobs else f"{'' if self.measured else NOT_MEASURED}{duration(self.seconds)}"


@dataclass(frozen=True)
class Forecast:
    """The jobs of a plan that would run, and their costs."""

    plan: Plan
    results: Path
    estimates: Estimates
    skipped: list[str] = field(default_factory=list)  # what could not be read, a line each

    @cached_property
    def shared(self) -> dict[str, list[Path]]:
        """Artefacts that would be linked from stores."""
        return shareable(self.plan, self.results)

    @cached_property
    def due(self) -> dict[str, Estimate]:
        """Estimates of the jobs that would run."""
        wanting = (a for a in unfinished(self.plan, self.results) if a not in self.shared)
        missing = [a for a in wanting if self.plan.jobs[a].made_by is None]
        return {artefact: self.estimates.of(artefact) for artefact in missing}

    @cached_property
    def running(self) -> dict[str, str]:
        """Of the jobs that would run those that are at work: who, since when, how far."""
        return {artefact: told for artefact in self.due if (told := at_work(artefact, self.results)) is not None}

    def cost(self, artefacts: Iterable[str]) -> Cost:
        """Of those of the jobs that would run."""
        due = {artefact: self.due[artefact] for artefact in artefacts if artefact in self.due}
        shapes = [self.plan.jobs[artefact].execution.job for artefact in due]
        return Cost(
            jobs=len(due),
            seconds=sum(each.seconds for each in due.values()),
            low=sum(each.seconds / each.spread for each in due.values()),
            high=sum(each.seconds * each.spread for each in due.values()),
            gpu_hours=sum(e.seconds / 3600 * s.gpus * s.nodes for e, s in zip(due.values(), shapes, strict=True)),
            measured=all(each.measured for each in due.values()),
            disk=sum(disk_bytes(self.plan, artefact, self.results) for artefact in due),
        )

    def wall_seconds(self, cores: int) -> float:
        """Of all jobs on so many cores; those on GPUs run elsewhere, as soon as they may."""
        jobs = {}
        for artefact, estimate in self.due.items():
            shape = self.plan.jobs[artefact].execution.job
            waits_for = tuple(self.plan.waits_for(artefact))
            jobs[artefact] = TimedJob(estimate.seconds, 0 if shape.gpus else shape.threads, waits_for)
        return wall_seconds(jobs, cores)

    def why(self, artefacts: Iterable[str]) -> str:
        """The reasons why jobs would run, with how many each."""
        due = [artefact for artefact in artefacts if artefact in self.due]
        reasons = Counter(
            self.running.get(a) or reason_of(self.plan.jobs[a].recipe, self.results, self.skipped) for a in due
        )
        return "; ".join(f"{reason} ({count})" if len(due) > 1 else reason for reason, count in reasons.items())


def run(path: Path, cores: int | None, console: Console) -> int:
    """Print the plan of a config; `cores` None takes those of this machine."""
    experiment = PlannedExperiment.load(path)
    estimates = Estimates(experiment.plan, experiment.results)
    forecast = Forecast(experiment.plan, experiment.results, estimates, estimates.skipped)
    stages = _stages_table(forecast)
    for line in forecast.skipped:
        console.print(marked("skipped", "yellow", line), soft_wrap=True, highlight=False)
    if experiment.config.train is not None:
        console.print(_runs_table(forecast))
    console.print(stages)
    decidable = short_table(experiment, estimates)
    if decidable is not None:
        console.print(decidable)
    lines = print_mixtures(experiment.plan, experiment.results, console)
    if forecast.shared:
        stores = sorted({str(folders[0].parents[1]) for folders in forecast.shared.values()})
        lines.append(f"{len(forecast.shared)} artefacts would be linked, if they are whole, from {', '.join(stores)}.")
    for line in (*lines, *_summary(forecast, cores or len(os.sched_getaffinity(0))), *experiment.plan.notices):
        console.print(line, soft_wrap=True, highlight=False)
    return 0


def _runs_table(forecast: Forecast) -> Table:
    config = forecast.plan.experiment
    assert config.train is not None
    table = Table(title=f"Runs of {config.experiment}", title_justify="left")
    on_gpus = config.train.job.gpus > 0
    headings = ["run", "architecture", "parameters", "active", "steps", "tokens"]
    headings += ["trained", "evaluated", "analysed", "time", *["GPU h"] * on_gpus]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("run", "architecture") else "right", no_wrap=True)
    for name, settings in config.runs.items():
        costs, cost = run_costs(config, name), forecast.cost(jobs_of_run(forecast.plan, name, *OF_RUNS))
        table.add_row(
            name,
            architecture_label(settings.plan),
            short(costs.parameters_total),
            pair(short(costs.text.parameters), short(costs.vision.parameters)),
            short(settings.checkpoints[-1]),
            f"≤ {short(run_tokens(config, name))}",
            *(_done(forecast, jobs_of_run(forecast.plan, name, stage)) for stage in ("train", "evaluate", "analyze")),
            cost.time,
            *[hours(cost.gpu_hours)] * on_gpus,
        )
    return table


def _stages_table(forecast: Forecast) -> Table:
    plan = forecast.plan
    table = Table(title="Stages", title_justify="left")
    on_gpus = forecast.cost(forecast.due).gpu_hours > 0
    for heading in ("stage", "jobs", "done", "would run", "job time", *["GPU h"] * on_gpus, "disk", "why"):
        table.add_column(heading, justify="left" if heading in ("stage", "why") else "right")
    for stage in STAGES:
        jobs = plan.targets(stage)
        if not jobs:
            continue
        cost = forecast.cost(jobs)
        table.add_row(
            stage,
            str(len(jobs)),
            str(len(jobs) - cost.jobs),
            str(cost.jobs),
            cost.time,
            *[hours(cost.gpu_hours)] * on_gpus,
            size(cost.disk),
            forecast.why(jobs),
        )
    return table


def _summary(forecast: Forecast, cores: int) -> list[str]:
    cost = forecast.cost(forecast.due)
    if not cost.jobs:
        return ["Nothing would run: every artefact of this config exists."]
    lines = [
        f"{cost.jobs} jobs would run: {cost.time} of job time ({duration(cost.low)} to {duration(cost.high)})"
        + (f", {hours(cost.gpu_hours)} GPU hours" if cost.gpu_hours else "")
        + (f", {size(cost.disk)} of disk" if cost.disk else "")
        + "."
    ]
    wall = duration(forecast.wall_seconds(cores))
    elsewhere = ", if GPUs are free whenever a job asks for them" if cost.gpu_hours else ""
    lines.append(f"On {cores} core{'s' * (cores > 1)}: about {wall}{elsewhere}.")
    if empty := forecast.estimates.sources_without_data():
        lines.append(f"No data yet in {', '.join(empty)}: what depends on their size is not in these figures.")
    if not cost.measured:
        lines.append(
            f"{NOT_MEASURED} not measured: no job of this kind ran here; computed from operations and assumed speeds, "
            "good to a factor of five."
        )
    return lines


def _done(forecast: Forecast, jobs: list[str]) -> str:
    return f"{sum(artefact not in forecast.due for artefact in jobs)}/{len(jobs)}" if jobs else "-"


def pair(text: str, vision: str) -> str:
    """Two figures of text and vision tokens, once where they are the same."""
    return text if text == vision else f"{text} / {vision}"


def size(count: float) -> str:
    """Bytes as people say them; nothing for none."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return "< 1 MB" if count else ""


def hours(count: float) -> str:
    """GPU hours; nothing for none."""
    return f"{count:,.0f}" if count >= 10 else f"{count:.2g}" if count else ""


def duration(seconds: float) -> str:
    """A time as people say it, no more exact than an estimate is."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 48 * 60:
        return f"{seconds / 86400:.1f} days"
    if minutes >= 60:
        return f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes < 600 else "")
    return f"{minutes} min" if minutes >= 10 else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

"""A snapshot as a person reads it in a terminal."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from unix_lib.commands.marks import NOT_MEASURED, marked
from unix_lib.commands.plan import duration
from unix_lib.watch.snapshot import RunningJob, Snapshot

COLORS = {"done": "green", "running": "cyan", "failed": "red", "waiting": "dim"}
MOST_LINES = 12  # of running or failed jobs
LOSSES = ("loss_text", "loss_image", "reconstruction")  # that a running job is shown with


def headline(snapshot: Snapshot) -> Table:
    """One line: jobs done, the time left, GPU hours."""
    line = Table.grid(padding=(0, 1))
    told = f"{snapshot.done} of {snapshot.jobs} jobs"
    if snapshot.running:
        told += f", {len(snapshot.running)} running"
    if snapshot.failed:
        told += f", {len(snapshot.failed)} failed"
    if snapshot.seconds_left is not None:
        told += f", about {'' if snapshot.measured else NOT_MEASURED}{duration(snapshot.seconds_left)} left"
    if snapshot.gpu_hours_used or snapshot.gpu_hours_left:
        told += f", GPU hours: {snapshot.gpu_hours_used:.1f} used, {snapshot.gpu_hours_left:.1f} left"
    bar = ProgressBar(total=max(1, snapshot.jobs), completed=snapshot.done, width=20)
    line.add_row(Text(snapshot.experiment, "bold"), bar, told)
    return line


def running_table(jobs: list[RunningJob]) -> Table:
    """What runs, how far each is, and where."""
    table = Table.grid(padding=(0, 2))
    for job in jobs[:MOST_LINES]:
        stage, _, key = job.artefact.partition("/")
        far = f"{job.done}/{job.total} {job.unit}" if job.total else ""
        bar = ProgressBar(total=job.total, completed=job.done or 0, width=12) if job.total else Text("")
        left = f"{duration(job.seconds_left)} left" if job.seconds_left is not None else ""
        losses = [f"{name.removeprefix('loss_')} {job.values[name]:.3f}" for name in LOSSES if name in job.values]
        where = f"SLURM {job.slurm_job} {job.slurm_state or ''}".strip() if job.slurm_job else f"{job.host}:{job.pid}"
        table.add_row(
            Text(stage, "cyan"), key.rpartition("-")[0], bar, far, left, ", ".join(losses), Text(where, "dim")
        )
    if len(jobs) > MOST_LINES:
        table.add_row("", f"and {len(jobs) - MOST_LINES} more")
    return table


def runs_table(snapshot: Snapshot) -> Table:
    """A row a training run."""
    table = Table(title="Runs", title_justify="left")
    on_gpus = any(run.gpu_hours for run in snapshot.runs)
    headings = ["run", "state", "step", "checkpoints", "text", "image", "held out", "left", *["GPU h"] * on_gpus]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right", no_wrap=True)
    for run in snapshot.runs:
        table.add_row(
            run.run,
            Text(run.state, COLORS[run.state]),
            f"{run.step}/{run.steps}",
            f"{run.checkpoints_done}/{run.checkpoints}",
            *(_loss(value) for value in (run.loss_text, run.loss_image, run.heldout_loss)),
            duration(run.seconds_left) if run.seconds_left else "",
            *[f"{run.gpu_hours:.1f}"] * on_gpus,
        )
    return table


def stages_table(snapshot: Snapshot) -> Table:
    """A row a stage."""
    table = Table(title="Stages", title_justify="left")
    for heading in ("stage", "done", "of", "running", "failed"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in snapshot.stages:
        table.add_row(stage.stage, str(stage.done), str(stage.jobs), str(stage.running or ""), str(stage.failed or ""))
    return table


def failures(snapshot: Snapshot) -> list[Text]:
    """The last error of each failed job, with its log."""
    lines = []
    for job in snapshot.failed[:MOST_LINES]:
        tried = f" ({job.attempts} attempts)" if job.attempts > 1 else ""
        slurm = f" SLURM {job.slurm_job} {job.slurm_state or ''}".rstrip() if job.slurm_job else ""
        lines.append(marked("failed", "red", f"{job.artefact}{tried}{slurm}: {job.error}\n       {job.log}"))
    return lines


def whole_view(snapshot: Snapshot) -> RenderableType:
    """Everything, for `status --watch`."""
    parts: list[RenderableType] = [headline(snapshot), Text("")]
    if snapshot.runs:
        parts.append(runs_table(snapshot))
    parts.append(stages_table(snapshot))
    parts += [running_table(snapshot.running)] if snapshot.running else []
    return Group(*parts, *failures(snapshot), Text(snapshot.at, "dim"))


def short_view(snapshot: Snapshot) -> RenderableType:
    """What fits below the lines of a run at work."""
    return Group(headline(snapshot), running_table(snapshot.running))


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

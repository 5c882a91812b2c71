"""`fetch`: download what a config names; run it on a machine with a network, jobs then run offline."""

from pathlib import Path

from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from unix_lib.artefacts.errors import UserError
from unix_lib.commands.marks import marked
from unix_lib.config import load_experiment
from unix_lib.config.needs import Need
from unix_lib.fetch.files import fetch_file
from unix_lib.fetch.hub import fetch_repository
from unix_lib.fetch.needs import missing_because, needs_of


def run(config: Path, console: Console) -> int:
    """Fetch everything; one failure does not stop the rest. Returns 1 when something is still missing."""
    needs = needs_of(load_experiment(config))
    if not needs:
        console.print(f"{config} needs nothing from outside.")
    failed = 0
    for need in needs:
        try:
            console.print(marked("ok", "green", f"{need.what} {_get(need, console)}"), highlight=False, soft_wrap=True)
        except (UserError, OSError) as error:
            failed += 1
            console.print(marked("missing", "red", f"{need.what}: {error}"), highlight=False, soft_wrap=True)
    return 1 if failed else 0


def _get(need: Need, console: Console) -> str:
    if need.file is not None:
        columns = (TextColumn("{task.description}", markup=False), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(need.file.path, total=None)
            path = fetch_file(need.file, lambda done, total: progress.update(task, completed=done, total=total))
        return f"({need.file.licence}) in {path}"
    if need.task is not None:
        from unix_lib.benchmarks.lm_eval_tasks import data_set_of, load_registered

        tasks = load_registered(need.task)["tasks"].values()
        return f"(licence: see its page) {', '.join(sorted({data_set_of(task) for task in tasks}))}"
    if need.repository is not None:
        return f"({need.repository.licence}) in {fetch_repository(need.repository)}"
    reason = missing_because(need)
    if reason is not None:
        raise UserError(reason)
    return "is there"

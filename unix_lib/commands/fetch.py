"""`fetch`: download what a config names; run it on a machine with a network, jobs then run offline."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from unix_lib.artefacts.errors import UserError
from unix_lib.commands.marks import marked
from unix_lib.config import load_experiment, lock_of
from unix_lib.config.hub import UNKNOWN_LICENCE
from unix_lib.config.needs import Need
from unix_lib.fetch.brought import brought
from unix_lib.fetch.files import fetch_file
from unix_lib.fetch.hub import fetch_repository
from unix_lib.fetch.needs import Stated, missing_because, needs_of, stated


def run(config: Path, console: Console) -> int:
    """Fetch everything; one failure does not stop the rest. Returns 1 when something is still missing."""
    needs, lock = needs_of(load_experiment(config)), lock_of(config)
    if not needs:
        console.print(f"{config} needs nothing from outside.")
    known = {need.what: stated(need, lock, ask=True) for need in needs}
    for need in needs:
        own = brought(need)
        told = known[need.what] or ("yours to bring" if own is None else f"yours to bring, {own}; from {own.where}")
        console.print(f"{need.what}: {told}", highlight=False, soft_wrap=True)
    if downloaded := [known[need.what] for need in needs if not need.streamed]:
        console.print(in_all([of_need for of_need in downloaded if of_need is not None]), highlight=False)
    failed = 0
    for need in needs:
        try:
            of_need = known[need.what]
            licence = f"({of_need.licence}) " if of_need and need.task is None else ""
            got = _get(need, config, console)
            console.print(marked("ok", "green", f"{need.what} {licence}{got}"), highlight=False, soft_wrap=True)
        except (UserError, OSError) as error:
            failed += 1
            console.print(marked("missing", "red", f"{need.what}: {error}"), highlight=False, soft_wrap=True)
    return 1 if failed else 0


def in_all(things: list[Stated]) -> str:
    """How much things are together, as far as is known."""
    sizes = [thing.bytes for thing in things if thing.bytes is not None]
    unknown = len(things) - len(sizes)
    return f"{sum(sizes) / 1e6:,.0f} MB in all" + f", and {unknown} of unknown size" * bool(unknown) + "."


def _get(need: Need, config: Path, console: Console) -> str:
    if need.file is not None:
        with _shown(need.file.path, console) as progress:
            return f"in {fetch_file(need.file, progress)}"
    if need.task is not None:
        from unix_lib.benchmarks.lm_eval_tasks import downloaded_of, load_registered

        sets = downloaded_of(load_registered(need.task))
        return ", ".join(f"{name} ({Stated(said or UNKNOWN_LICENCE, size)})" for name, (said, size) in sets.items())
    if need.repository is not None:
        if not need.repository.is_pinned:
            raise UserError(f"not pinned to a commit; run `unix-lib fetch {config} --pin` first")
        if need.streamed:
            return "is streamed by the jobs that read it"
        with _shown(need.repository.repository, console) as progress:
            return f"in {fetch_repository(need.repository, progress)}"
    reason = missing_because(need)
    if reason is not None:
        raise UserError(reason)
    return "is there"


@contextmanager
def _shown(name: str, console: Console) -> Iterator[Callable[[int, int | None], None]]:
    """A bar, and what moves it."""
    columns = (TextColumn("{task.description}", markup=False), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)

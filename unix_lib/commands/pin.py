"""`fetch --pin`: write the lock of a config; run it on a machine with a network, and commit what it writes."""

from datetime import date
from pathlib import Path

from rich.console import Console

from unix_lib.commands.fetch import in_all
from unix_lib.commands.marks import marked
from unix_lib.config import load_experiment
from unix_lib.config.hub_lock import HubLock, LockedRepository, lock_path, read_lock, write_lock
from unix_lib.config.load import lock_paths
from unix_lib.fetch.attempts import FetchError
from unix_lib.fetch.needs import needs_of, stated
from unix_lib.fetch.pin import pin


def run(config: Path, console: Console) -> int:
    """Pin what no lock of an extended config has; one failure does not stop the rest. Returns 1 where there was one.

    What could not be asked for now stays as it was pinned before.
    """
    experiment = load_experiment(config, lock=HubLock())
    own = read_lock(lock_path(config), only_sealed=True)
    others = HubLock([entry for path in lock_paths(config)[1:] for entry in read_lock(path).entries])
    entries: list[LockedRepository] = []
    things, failed = [], 0
    for need in needs_of(experiment):
        if need.repository is None:
            continue
        entry, before = others.entry_of(need.repository), own.entry_of(need.repository)
        if entry is None:
            try:
                entry = pin(need, [*entries, *own.entries, *others.entries], date.today())
            except FetchError as error:
                failed += 1
                console.print(marked("failed", "red", f"{need.what}: {error}"), highlight=False, soft_wrap=True)
                entries += [] if before is None else [before]
                continue
            if before is not None and before.seal == entry.seal:
                entry = entry.model_copy(update={"pinned": before.pinned})
            entries.append(entry)
        known = stated(need, HubLock([entry]))
        assert known is not None
        things.append(known)
        told = f"{need.what} at {entry.revision}: {known}, {len(entry.files):,} files"
        console.print(marked("pinned", "green", told), highlight=False, soft_wrap=True)
    if not things and not failed:
        console.print(f"{config} needs nothing of the hub.")
        return 0
    where = "All of it stands in the locks of what is extended"
    if entries or own.entries:
        write_lock(lock_path(config), HubLock(entries))
        where = f"Written to {lock_path(config)}, for git"
    console.print(f"{in_all(things)} {where}.", highlight=False, soft_wrap=True)
    return 1 if failed else 0

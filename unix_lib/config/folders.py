"""Finds files below folders and by glob patterns, links to other folders followed.

Every folder is entered once, by its own path where it has one below the top, so that links may lead in circles. What
is listed may turn out to be unreadable: a link that leads nowhere, a pipe, a folder that lets nobody in. Whoever reads
it sets it aside. Inventories, which are this project's own, are not listed.
"""

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

INVENTORY = ".unix-inventory"  # what is known of the files of a folder, see `config.inventory`


def in_sentences(path: str) -> str:
    """A path as sentences about data have it: of an absolute one, which says whose machine it is, only the name."""
    return Path(path).name if Path(path).is_absolute() else path


def is_folder(path: Path) -> bool:
    """Whether it is a folder; False where that can't be seen."""
    return _is(path, stat.S_ISDIR)


def is_regular(path: Path) -> bool:
    """Whether it is a file that ends, so no pipe, socket or device; False where that can't be seen."""
    return _is(path, stat.S_ISREG)


def files_below(top: Path) -> list[Path]:
    """All that is no folder below a folder, sorted, and folders that can't be entered."""
    return sorted(path for _, inside in _entered(top) for path in inside)


def matching(pattern: str, root: Path) -> list[Path]:
    """Like `files_below`, what a glob pattern matches below `root`; `**` is any number of folders.

    A part with brackets that is the name of something there means that.
    """
    found = set(_matching(root, PurePath(pattern).parts))
    return sorted(path for path in found if not is_folder(path) or _names_in(path) is None)


def _matching(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for below, inside in _entered(folder):
            yield from _matching(below, rest) if rest else inside
    elif not re.search(r"[*?[]", part) or ("[" in part and os.path.lexists(folder / part)):
        if os.path.lexists(folder / part):
            yield from _matching(folder / part, rest)
    elif is_folder(folder):
        names = _names_in(folder)
        if names is None:
            yield folder
        for name in names or ():
            if fnmatchcase(name, part):
                yield from _matching(folder / name, rest)


def _entered(top: Path) -> Iterator[tuple[Path, list[Path]]]:
    """`top` and each folder below it with what is no folder in it; one that can't be entered is in itself."""
    entered: set[str] = set()
    own, linked = deque([top]), deque[Path]()
    while own or linked:
        folder = (own or linked).popleft()  # links last: what lies below the top is called by its own path
        real = os.path.realpath(folder)
        if real in entered or not is_folder(folder):
            continue
        entered.add(real)
        inside = []
        names = _names_in(folder)
        for path in [folder] if names is None else [folder / name for name in names]:
            if path == folder or not is_folder(path):
                inside.append(path)
            else:
                (linked if path.is_symlink() else own).append(path)
        yield folder, inside


def _names_in(folder: Path) -> list[str] | None:
    """Sorted; None where they can't be seen."""
    try:
        return sorted(path.name for path in folder.iterdir() if INVENTORY not in path.name)
    except OSError:
        return None


def _is(path: Path, sort: Callable[[int], bool]) -> bool:
    try:
        return sort(path.stat().st_mode)
    except (OSError, ValueError):  # no such file, no access, a loop of links, a name that no file can have
        return False

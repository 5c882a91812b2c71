"""Finds files below folders and by glob patterns, links to other folders followed.

Every folder is entered once, by its own path where it has one below the top, so that links may lead in circles. What
is listed may turn out to be unreadable: a link that leads nowhere, a pipe, a folder that lets nobody in. Whoever reads
it sets it aside. Inventories, which are this project's own, are not listed.
"""

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate
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
    return [Path(path) for path in paths_below(str(top))]


def paths_below(top: str) -> list[str]:
    """Like `files_below`, as texts: there may be millions."""
    return in_order(path for _, inside in _entered(top) for path in inside)


def matching(pattern: str, root: Path) -> list[Path]:
    """Like `files_below`, what a glob pattern matches below `root`; `**` is any number of folders.

    A part with brackets that is the name of something there means that.
    """
    return [Path(path) for path in paths_matching(pattern, root)]


def paths_matching(pattern: str, root: Path) -> list[str]:
    """Like `matching`, as texts."""
    return in_order(dict.fromkeys(_found(pattern, root)))  # which are in order already, but for links


def matches(pattern: str, root: Path) -> bool:
    """Whether a pattern matches anything; ends with the first."""
    return next(_found(pattern, root), None) is not None


def in_order(paths: Iterable[str]) -> list[str]:
    """Sorted as paths are, name by name: `a/b` before `a-b`."""
    return sorted(paths, key=lambda path: path.replace("/", "\0"))


def _found(pattern: str, root: Path) -> Iterator[str]:
    for path, is_one in _matching(str(root), PurePath(pattern).parts, is_one=is_folder(root)):
        if not is_one or _inside(path) is None:
            yield path


def _matching(folder: str, parts: tuple[str, ...], *, is_one: bool) -> Iterator[tuple[str, bool]]:
    """What matches below a folder, and whether it is a folder; `is_one` says it of the first."""
    if not parts:
        yield folder, is_one
        return
    part, rest, begins = parts[0], parts[1:], _begins(folder)
    if part == "**":
        for below, inside in _entered(folder):
            if rest:
                yield from _matching(below, rest, is_one=True)
            else:
                yield from ((path, False) for path in inside)
    elif not re.search(r"[*?[]", part) or ("[" in part and os.path.lexists(begins + part)):
        path = part if part.startswith("/") else begins + part
        if os.path.lexists(path):
            yield from _matching(path, rest, is_one=is_folder(Path(path)))
    elif is_one:
        names = _inside(folder)
        if names is None:
            yield folder, False
        fits = re.compile(translate(part)).match
        found = [(begins + name, is_folder_too) for name, is_folder_too in names or () if fits(name)]
        if not rest:
            yield from found
        for path, is_folder_too in found if rest else ():
            yield from _matching(path, rest, is_one=is_folder_too)


def _entered(top: str) -> Iterator[tuple[str, list[str]]]:
    """`top` and each folder below it with what is no folder in it; one that can't be entered is in itself."""
    entered: set[str] = set()
    own, linked = deque([top]), deque[str]()
    while own or linked:
        folder = (own or linked).popleft()  # links last: what lies below the top is called by its own path
        real = os.path.realpath(folder)
        if real in entered or not is_folder(Path(folder)):
            continue
        entered.add(real)
        names, begins = _inside(folder), _begins(folder)
        inside = [folder] if names is None else []
        for name, is_one in names or ():
            path = begins + name
            if is_one:
                (linked if Path(path).is_symlink() else own).append(path)
            else:
                inside.append(path)
        yield folder, inside


def _begins(folder: str) -> str:
    """What paths in a folder begin with."""
    return "" if folder == "." else f"{folder}/".replace("//", "/")


def _inside(folder: str) -> list[tuple[str, bool]] | None:
    """Names in a folder, sorted, and whether they are folders; None where they can't be seen."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, _is_folder(entry)) for entry in entries if INVENTORY not in entry.name)
    except OSError:
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _is(path: Path, sort: Callable[[int], bool]) -> bool:
    try:
        return sort(path.stat().st_mode)
    except (OSError, ValueError):  # no such file, no access, a loop of links, a name that no file can have
        return False

"""Reads CPython's own prose: its reference topics and docstrings.

Docstrings are read from the library's source files without importing them: importing runs code, and what it leaves
behind depends on the machine. Order and content depend on the Python version only.
"""

import ast
import hashlib
import inspect
import os
import platform
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.outside import FilesIdentity
from unix_lib.records.rejected import RejectedSamples

UNDECODABLE = "not UTF-8"
UNPARSABLE = "not Python"

# Folders of the standard library that hold tests, tools, third parties' packages or no prose.
SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__",
        "__phello__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib-dynload",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tests",
        "turtledemo",
    }
)
# Written by whoever installed Python, not by its authors.
SKIPPED_BUILD = "config-"  # folders of what this Python was built with
SKIPPED_FILES = ("sitecustomize.py", "usercustomize.py", "_sysconfigdata", "_sysconfig_vars")


@dataclass(frozen=True)
class Text:
    """One text before it is cut."""

    name: str  # of the topic or module
    text: str


def python_reference(rejected: RejectedSamples) -> list[Text]:
    """Reference topics, then the docstrings of one library module after the other; a docstring that came before is
    left out."""
    texts, set_aside = _reference(*_stamp())
    rejected.extend(set_aside)
    return texts


@cache
def _reference(*_: object) -> tuple[list[Text], RejectedSamples]:
    """The texts and what was set aside; a process reads them once for each state of the library, so that the texts
    that become records are those that were identified."""
    rejected = RejectedSamples()
    return list(_read_reference(rejected)), rejected


def _read_reference(rejected: RejectedSamples) -> Iterator[Text]:
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield Text(f"topics/{name}", topics[name])
    library = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    for path in library_modules(library):
        name = path.relative_to(library).as_posix()
        try:
            docstrings = docstrings_of(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            rejected.add(name, name, UNDECODABLE, f"not UTF-8 at byte {error.start}")
        except (SyntaxError, ValueError, RecursionError) as error:
            rejected.add(name, name, UNPARSABLE, cause=error)
        else:
            new = [text for text in dict.fromkeys(docstrings) if text not in seen]
            seen.update(new)
            if new:
                yield Text(f"library/{name}", "\n\n".join(new))


def reference_identity(hashes: FileHashes) -> FilesIdentity:
    """What the running CPython's prose is: its texts, whatever the version of Python that has them.

    Reading them takes seconds, so the digest is remembered as long as the library's files are the same.
    """
    stamp = _stamp()
    described = hashes.remembered(f"python-reference {sysconfig.get_path('stdlib')}", stamp, lambda: _described(*stamp))
    count, characters, sha256 = described.split()
    return FilesIdentity(count=int(count), bytes=int(characters), sha256=sha256)


def _stamp() -> list[Any]:
    """What tells one state of the library from another, as JSON has it."""
    import pydoc_data.topics

    paths = [Path(pydoc_data.topics.__file__), *library_modules(Path(sysconfig.get_path("stdlib")))]
    return [platform.python_version(), len(paths), sum(path.stat().st_mtime_ns for path in paths)]


@cache
def _described(*stamp: object) -> str:
    """The identity of the reference in one line."""
    identity = identity_of(_reference(*stamp)[0])
    return f"{identity.count} {identity.bytes} {identity.sha256}"


def identity_of(texts: list[Text]) -> FilesIdentity:
    """What some texts are by their names and contents; their size is in characters."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(f"{text.name}\0{text.text}\0".encode("utf-8", "surrogatepass"))
    return FilesIdentity(count=len(texts), bytes=sum(len(text.text) for text in texts), sha256=whole.hexdigest())


def library_modules(library: Path) -> list[Path]:
    """Source files of the standard library that hold its prose, sorted by path."""
    found = []
    for folder, inner, names in os.walk(library):
        # Here, not afterwards: installed packages lie below the library, and are many times its size.
        inner[:] = [name for name in inner if name not in SKIPPED_FOLDERS and not name.startswith(SKIPPED_BUILD)]
        found += [Path(folder, name) for name in names if name.endswith(".py") and not name.startswith(SKIPPED_FILES)]
    return sorted(found)


def docstrings_of(source: str) -> list[str]:
    """Docstrings of a module, its classes and functions, in the order in which they stand, dedented."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old modules
        tree = ast.parse(source)
    found: list[str] = []

    def visit(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        docstring = ast.get_docstring(node, clean=False)
        if docstring is not None and docstring.strip():
            found.append(inspect.cleandoc(docstring).strip())
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child)

    visit(tree)
    return found

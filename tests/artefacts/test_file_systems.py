"""File systems that lack links, modes or flushed folders: nothing of the library needs them."""

import ast
import errno
import os
import stat
from pathlib import Path

import pytest

from unix_lib.artefacts.files import point_link, set_mode, write_text

ROOT = Path(__file__).resolve().parents[2]
NOT_EVERYWHERE = {
    "chmod",
    "link",
    "symlink",
    "symlink_to",
    "hardlink_to",
    "copy",
    "copy2",
    "copytree",
    "copystat",
    "copymode",
}


def test_only_one_module_asks_for_what_not_every_file_system_has() -> None:
    """The functions there do without; a new call elsewhere would not."""
    for path in sorted((ROOT / "unix_lib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            # `copy` and `link` are also methods of other things than os, shutil and paths.
            asked = node.func.attr in NOT_EVERYWHERE - {"copy", "link"} or (
                node.func.attr in NOT_EVERYWHERE and of in {"os", "shutil"}
            )
            assert not asked or (path.name == "files.py" and path.parent.name == "artefacts"), f"{path}:{node.lineno}"


@pytest.fixture
def poor(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A file system that has none of it; returns what was asked for."""
    asked = set()

    def refuses(name: str, number: int) -> object:
        def refuse(*_: object, **__: object) -> None:
            asked.add(name)
            raise OSError(number, os.strerror(number))

        return refuse

    for name, number in (("chmod", errno.EPERM), ("symlink", errno.ENOTSUP), ("link", errno.EPERM)):
        monkeypatch.setattr(os, name, refuses(name, number))
    flush = os.fsync

    def flush_files_only(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            refuses("fsync", errno.EINVAL)()
        flush(handle)

    monkeypatch.setattr(os, "fsync", flush_files_only)
    return asked


def test_files_are_written_whole_there_too(tmp_path: Path, poor: set[str]) -> None:
    write_text(tmp_path / "folder" / "file", "words")
    assert (tmp_path / "folder" / "file").read_text() == "words"
    set_mode(tmp_path / "folder" / "file", 0o755)
    assert not point_link(tmp_path / "link", Path("folder"))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert poor == {"chmod", "symlink", "fsync"}

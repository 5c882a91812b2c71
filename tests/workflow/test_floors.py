"""Imports between the rooms of the library run downwards only, and in no circle."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.workflow.project import ROOT

LIBRARY = ROOT / "unix_lib"


def _floors() -> list[list[str]]:
    """Rooms by floor, from the ground up, as unix_lib/README.md has them."""
    text = (LIBRARY / "README.md").read_text(encoding="utf-8")
    table = text.partition("## Floors")[2].partition("\n## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    return [re.findall(r"`(\w+)`", row) for row in rows]


def _imported(module: Path) -> Iterator[str]:
    """Rooms that a module imports from, inside functions too."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("unix_lib."))


def _rooms() -> dict[str, set[str]]:
    return {
        folder.name: {room for module in folder.rglob("*.py") for room in _imported(module)} - {folder.name}
        for folder in LIBRARY.iterdir()
        if (folder / "__init__.py").is_file()
    }


def test_every_room_has_a_floor() -> None:
    assert sorted(room for floor in _floors() for room in floor) == sorted(_rooms())


def test_no_room_imports_from_a_floor_above() -> None:
    height = {room: index for index, floor in enumerate(_floors()) for room in floor}
    upwards = [(room, other) for room, others in _rooms().items() for other in others if height[other] > height[room]]
    assert upwards == []


def test_no_rooms_import_each_other() -> None:
    assert len(list(TopologicalSorter(_rooms()).static_order())) == len(_rooms())  # raises CycleError

"""Rows in are rows kept and rows set aside, for every reader of files of rows, whatever is done to a file."""

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import unix_lib
from tests.records.mutations import FAULTS, damaged, physical_lines
from tests.records.readers import ROWS, Reader, TextReader, readers
from unix_lib.artefacts.errors import UserError
from unix_lib.config.kinds import ROOMS, JobKind, Kind, find_kind, known_kinds

ROOT = Path(unix_lib.__file__).parent
FILES = 200  # damaged, of each layout
# Kinds whose files hold no rows: weights and tokenizers, which are read whole or refused.
WITHOUT_ROWS = {"text tokenizer pretrained", "image tokenizer pretrained"}
# Whose files are no lines; tests/sources/test_in_place.py damages them.
BINARY = {"source finevision", "source webdataset"}
CUTTERS = {"numbered_lines", "read_delimited"}  # what files are cut into rows with
# Modules that cut texts into lines which are no user's rows.
OTHER_LINES = {
    "unix_lib.artefacts.code": "what git prints",
    "unix_lib.cluster.hosts": "a hostfile, of which every line must be one, and what a program prints",
    "unix_lib.cluster.slurm": "what SLURM prints",
    "unix_lib.recipes.wall_times": "measurements of this project, of which a plan takes those that it knows",
    "unix_lib.figures.drawn_table": "cells that are drawn",
    "unix_lib.commands.summarize": "a table of this project that was checked",
    "unix_lib.report.gather": "tables of this project that were checked",
    "unix_lib.translate.benchmark_files": "files of this project, a line for each row of a benchmark",
    "unix_lib.speed.measuring": "what the system says of its processor",
    "unix_lib.artefacts.verify": "a list of this project's own",
    "unix_lib.compare.side": "tables of this project that were checked",
    "unix_lib.power.finished": "tables of this project that were checked",
    "unix_lib.power.variances": "tables of this project that were checked",
    "unix_lib.watch.slurm": "what SLURM prints",
}


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return {reader.file: reader for reader in readers(tmp_path_factory.mktemp("images"))}


NAMES = (
    *(f"{layout}.tsv" for layout in ("pope", "mme", "mmbench", "seed")),
    *(
        "captions.csv",
        "captions.jsonl",
        "prose.txt",
        "texts.jsonl",
        "texts.tsv",
        "pairs.tsv",
        "lines.jsonl",
        "chats.jsonl",
        "cloze.jsonl",
        "geneval.jsonl",
        "scenes.jsonl",
    ),
    *("asked.jsonl", "asked.txt", "wordings.jsonl", "wordings.txt", "dpg.csv"),
)


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_lost_whatever_is_done_to_a_file(name: str, all_readers: dict[str, Reader], tmp_path: Path) -> None:
    reader, path = all_readers[name], tmp_path / name
    path.write_bytes(reader.whole)
    rows = reader.rows_of(reader.whole)
    assert reader.read(path) == (len(rows), 0)
    faults, changed = [], 0
    for number in range(FILES):
        data = damaged(reader.whole, f"{name}/{number}")
        changed += data != reader.whole
        path.write_bytes(data)
        intact = 0 if isinstance(reader, TextReader) else len(set(reader.rows_of(data)) & set(rows))
        heading = physical_lines(data)[: reader.heading] == physical_lines(reader.whole)[: reader.heading]
        try:
            kept, set_aside = reader.read(path)
        except UserError as error:
            if "\n" in str(error) or (heading and intact and not reader.refuses):
                faults.append(f"{number}: refused with {intact} rows whole: {error}")
            continue
        least, most = reader.bounds(data)
        if not least <= kept + set_aside <= most:
            faults.append(f"{number}: {kept} kept and {set_aside} set aside of {least} to {most}")
        if kept < intact and heading:
            faults.append(f"{number}: {kept} kept of {intact} that are whole")
    assert faults == []
    assert changed > 0.9 * FILES


def test_every_fault_changes_a_file() -> None:
    lines = b"".join(b'%d,"a ""red"" dog"\t{[:]}\n' % number for number in range(ROWS))
    for fault in FAULTS:
        assert any(fault(lines, random.Random(seed)) != lines for seed in range(3)), fault


def test_every_reader_is_tried(all_readers: dict[str, Reader]) -> None:
    assert sorted(all_readers) == sorted(NAMES)


def test_every_kind_that_reads_a_users_files_is_tried(all_readers: dict[str, Reader]) -> None:
    """A job that reads files from outside has their identity in its settings."""
    reading = {
        f"{sort} {name}"
        for sort in ROOMS
        for name in known_kinds(sort)
        if any("FilesIdentity" in str(field.annotation) for model in _models(sort, name) for field in model.values())
    }
    tried = {kind for reader in all_readers.values() for kind in reader.kinds}
    assert reading - WITHOUT_ROWS - BINARY == tried and reading > WITHOUT_ROWS | BINARY


def _models(sort: Any, name: str) -> Iterator[dict[str, Any]]:
    """Fields of the settings of all of a kind's jobs."""
    kind = find_kind(sort, name, Kind)
    for field in fields(kind):
        value = getattr(kind, field.name)
        if isinstance(value, JobKind):
            yield value.settings.model_fields


def test_every_module_that_cuts_files_into_rows_is_tried(all_readers: dict[str, Reader]) -> None:
    cutting, by_hand = set(), set()
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.ImportFrom) and CUTTERS & {a.name for a in node.names} for node in ast.walk(tree)):
            cutting.add(module)
        if module not in ("unix_lib.records.lines", "unix_lib.records.delimited") and list(_cut_by_hand(tree)):
            by_hand.add(module)
    tried = {reader.module for reader in all_readers.values()}
    assert cutting == tried - {"unix_lib.sources.text.files"}  # whose files are texts, not rows
    assert by_hand == set(OTHER_LINES), "cut files with `numbered_lines` or `read_delimited`, and try it here"


def _cut_by_hand(tree: ast.AST) -> Iterator[ast.AST]:
    """Where a module takes lines or rows from a file or a text itself."""
    opened = {
        item.optional_vars.id
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name) and re.match(r"(open|path\.open)\(", ast.unparse(item.context_expr))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            named = ast.unparse(node)
            if node.attr in ("readlines", "read_csv", "read_json") or named in ("csv.reader", "csv.DictReader"):
                yield node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            splits = node.func.attr == "split" and [ast.unparse(argument) for argument in node.args] == ["'\\n'"]
            # The first line of an error's words is taken with `splitlines` all over; those are no rows.
            lines = node.func.attr == "splitlines" and "error" not in ast.unparse(node.func.value)
            if splits or lines:
                yield node
        iterated = node.iter if isinstance(node, ast.For | ast.comprehension) else None
        if iterated is not None and opened & {part.id for part in ast.walk(iterated) if isinstance(part, ast.Name)}:
            yield node

"""Reads DPG-Bench: prompts, each with a graph of yes/no questions about what its images must show.

A CSV file in the authors' layout has a row a question (`item_id, text, keywords, proposition_id, dependency,
category_broad, category_detailed, tuple, question_natural_language`); the rows of an item are its prompt's.
"""

import logging
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.rows import MALFORMED, RejectedRow, first_of, read_json_rows
from unix_lib.benchmarks.wordings import prompt_in
from unix_lib.records.delimited import read_delimited
from unix_lib.records.lines import BadLine, fault_of
from unix_lib.records.rejected import encodable

QUESTION = "question_natural_language"
COLUMNS = ("item_id", "text", "proposition_id", "dependency", "tuple", QUESTION)
NO_PARENT = 0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proposition:
    """One question about an image."""

    number: int  # unlike within its prompt
    parents: tuple[int, ...]  # numbers of the questions without which this one makes no sense
    category: str  # "entity - whole": the tuple's text before "("
    question: str
    line: int  # of the file; the authors' code knows rows by their order

    @property
    def broad_category(self) -> str:
        return self.category.split("-")[0].strip()


@dataclass(frozen=True)
class DPGPrompt:
    """A prompt with its questions, in the file's order."""

    item_id: str
    prompt: str
    propositions: list[Proposition] = field(default_factory=list)


def read_dpg(
    path: Path, limit: int | None = None, wordings: str | None = None
) -> tuple[list[DPGPrompt], list[RejectedRow]]:
    """The first `limit` prompts, and the rows and prompts that were set aside.

    Args:
        wordings: JSONL with `item_id` and `prompt`: what is drawn instead of the file's own texts.

    Raises:
        BenchmarkError: no such file or column, or not one usable prompt.
    """
    rejected: list[RejectedRow] = []
    items: dict[str, DPGPrompt] = {}
    for row in _rows(path, rejected):
        item = items.setdefault(row.item_id, DPGPrompt(row.item_id, row.text))
        if not item.prompt and row.text:
            items[row.item_id] = item = replace(item, prompt=row.text)
        if row.proposition.number in (known.number for known in item.propositions):
            rejected.append(row.set_aside(path, f"proposition {row.proposition.number} stands twice"))
        else:
            item.propositions.append(row.proposition)
    prompts = [_with_parents(item, path, rejected) for item in items.values()]
    if wordings is not None:
        texts, faults = _wordings(Path(wordings), items)
        rejected += faults
        prompts = [replace(item, prompt=texts.get(item.item_id, "")) for item in prompts]
    for item in prompts:
        if not item.prompt:
            why = "its prompt has no text"
            rejected += [_Row(item.item_id, "", each).set_aside(path, why) for each in item.propositions]
    usable = [item for item in prompts if item.prompt and item.propositions]
    if not usable:
        raise BenchmarkError(f"{path}: no prompts{first_of(rejected)}; fetch the file again")
    return list(islice(usable, limit)), rejected


@dataclass(frozen=True)
class _Row:
    item_id: str
    text: str
    proposition: Proposition

    def set_aside(self, path: Path, why: str) -> RejectedRow:
        line = self.proposition.line
        return RejectedRow(f"{self.item_id}-{self.proposition.number}", f"{path.name}:{line}", MALFORMED, why)


def _rows(path: Path, rejected: list[RejectedRow]) -> Iterator[_Row]:
    try:
        records = read_delimited(path, ",", _swallows)
        header = next(records, None)
    except FileNotFoundError:
        raise BenchmarkError(f"{path}: no such benchmark file; data/README.md says where it is from") from None
    columns = [] if header is None else [name.strip() for name in header.fields]
    for column in COLUMNS:
        if column not in columns:
            had = encodable(", ".join(columns))
            raise BenchmarkError(f"{path}: no column '{column}', which DPG-Bench has; it has: {had}")
    for record in records:
        try:
            if record.fault is not None or len(record.fields) != len(columns):
                raise BadLine(record.fault or f"{len(record.fields)} of {len(columns)} columns")
            yield _row(dict(zip(columns, record.fields, strict=True)), record.line)
        except BadLine as fault:
            where = f"{path.name}:{record.line}"
            log.info("%s: %s", where, fault)
            rejected.append(RejectedRow(f"row-{record.line}", where, MALFORMED, str(fault)))


def _swallows(first: int, lines: Sequence[str], fields: Sequence[str]) -> str | None:
    """Why a row of several lines is none: a line within it begins a row of its own."""
    item = fields[0].strip()
    if any(re.match(rf'"?{re.escape(item)}"?,', line) for line in lines[1:]) or any(
        re.search(r"[\r\n].*,\s*\d+\s*,", text) for text in fields
    ):
        return f"a quote that is not closed before line {first + 1}"
    return None


def _row(row: dict[str, str], line: int) -> _Row:
    """A question.

    Raises:
        BadLine: why it is none.
    """
    for column in COLUMNS:
        if (fault := fault_of(row[column])) is not None:
            raise BadLine(f"'{column}' {fault}")
    item, question, category = (row[name].strip() for name in ("item_id", QUESTION, "tuple"))
    if not item or not question or not category:
        raise BadLine("no item_id, tuple or question")
    if "/" in item or item.startswith("."):
        raise BadLine("its item_id can't be the name of a file")
    number, parents = row["proposition_id"].strip(), row["dependency"].split(",")
    if not all(re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII) for text in [number, *parents]):
        raise BadLine("its proposition_id or a dependency is no number")
    proposition = Proposition(
        int(number),
        tuple(parent for parent in map(int, parents) if parent != NO_PARENT),
        category.split("(")[0].strip(),
        question,
        line,
    )
    return _Row(item, row["text"].strip(), proposition)


def _with_parents(item: DPGPrompt, path: Path, rejected: list[RejectedRow]) -> DPGPrompt:
    """Without questions whose parents are not there: whether those make sense can't be told."""
    kept, before = item.propositions, -1
    while len(kept) != before:
        before, numbers = len(kept), {proposition.number for proposition in kept}
        for proposition in kept:
            if missing := sorted({*proposition.parents} - numbers):
                why = f"it depends on proposition {missing[0]}, which is not there"
                rejected.append(_Row(item.item_id, "", proposition).set_aside(path, why))
        kept = [proposition for proposition in kept if numbers.issuperset(proposition.parents)]
    return replace(item, propositions=kept)


def _wordings(path: Path, known: Container[str]) -> tuple[dict[str, str], list[RejectedRow]]:
    """A file's prompts by item, and its lines that are set aside."""
    texts: dict[str, str] = {}

    def read(row: object) -> None:
        text = prompt_in(row)
        item = str(row.get("item_id")) if isinstance(row, dict) else ""
        if item not in known or item in texts:
            raise BadLine("its item_id stands twice" if item in texts else "its item_id is none of the questions'")
        texts[item] = text

    _, rejected = read_json_rows(path, read)
    return texts, rejected

"""Reads a benchmark's prompts in other words, such as another language: a line for each of its own, by their places.

A line stands for the prompt at its place even where it can't be used, so that none is ever taken for another's.
"""

import logging
from pathlib import Path
from typing import Any

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.rows import MALFORMED, RejectedRow
from unix_lib.records.lines import BadLine, fault_of, numbered_lines, text_of, value_of

BLANK = "a blank line"

log = logging.getLogger(__name__)


def read_wordings(path: Path, count: int) -> tuple[dict[int, str], dict[int, RejectedRow]]:
    """Usable prompts and set-aside lines by place, from 0.

    A file of JSONL has objects with `prompt`, any other a prompt a line. A blank line, but for those at the end, is a
    prompt's that can't be used.

    Raises:
        BenchmarkError: not `count` lines.
    """
    lines = dict(numbered_lines(path))
    if (found := max(lines, default=0)) != count:
        raise BenchmarkError(f"{path}: {found} lines for {count} prompts; give a line for each, in their order")
    texts: dict[int, str] = {}
    faults: dict[int, RejectedRow] = {}
    for place in range(count):
        try:
            if place + 1 not in lines:
                raise BadLine(BLANK)
            texts[place] = wording_of(text_of(lines[place + 1]), json=path.suffix == ".jsonl")
        except BadLine as fault:
            where = f"{path.name}:{place + 1}"
            log.info("%s: %s (%s)", where, fault, fault.__cause__)
            faults[place] = RejectedRow(f"row-{place + 1}", where, MALFORMED, str(fault))
    return texts, faults


def wording_of(line: str, *, json: bool) -> str:
    """The prompt in a line.

    Raises:
        BadLine: none that can be drawn.
    """
    return prompt_in(value_of(line) if json else {"prompt": line})


def prompt_in(row: Any) -> str:
    """The prompt of an object; raises what `wording_of` does."""
    text = row.get("prompt") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise BadLine("no prompt")
    if (fault := fault_of(text)) is not None:
        raise BadLine(f"the prompt {fault}")
    return text.strip()

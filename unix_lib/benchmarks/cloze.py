"""Reads cloze questions: a context, choices of how it goes on, and which of them is right."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.rows import RejectedRow, first_of, read_json_rows
from unix_lib.records.lines import BadLine, fault_of


def read_cloze(path: Path) -> tuple[list[dict[str, Any]], list[RejectedRow]]:
    """Choice questions, a JSON object `{question, choices, answer}` a line, and what was set aside.

    A question may have a `delimiter`, "" where no space stands between it and a choice. An empty file has none: a
    source makes it whose held-out text gives no question.

    Raises:
        BenchmarkError: a file with lines of which not one is a usable question.
    """
    rows, rejected = read_json_rows(path, _question)
    if not rows and path.stat().st_size:
        raise BenchmarkError(
            f"{path}: no questions{first_of(rejected)}; fetch the file again, or raise cloze_questions of the text "
            "source, or give it more text"
        )
    return rows, rejected


def _question(row: Any) -> dict[str, Any]:
    match row:
        case {"question": str(question), "choices": [*choices], "answer": int(answer)} if not isinstance(answer, bool):
            for text in (question, *choices):
                fault = fault_of(text) if isinstance(text, str) else "is no text"
                if fault is not None:
                    raise BadLine(f"the question or a choice {fault}")
            if 0 <= answer < len(choices):
                return {"question": question, "choices": choices, "answer": answer, "delimiter": _delimiter(row)}
    raise BadLine("not a question with choices and an answer among them")


def _delimiter(row: Mapping[str, Any]) -> str:
    delimiter = row.get("delimiter", " ")
    if delimiter not in ("", " "):
        raise BadLine("its delimiter is neither a space nor empty")
    return str(delimiter)

"""Reads cloze questions: a context, choices of how it goes on, and which of them is right."""

from pathlib import Path
from typing import Any

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.rows import RejectedRow, first_of, read_json_rows
from unix_lib.records.lines import BadLine, fault_of


def read_cloze(path: Path) -> tuple[list[dict[str, Any]], list[RejectedRow]]:
    """Choice questions, a JSON object `{question, choices, answer}` a line, and what was set aside.

    Raises:
        BenchmarkError: not one usable question.
    """
    rows, rejected = read_json_rows(path, _question)
    if not rows:
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
                return {"question": question, "choices": choices, "answer": answer}
    raise BadLine("not a question with choices and an answer among them")

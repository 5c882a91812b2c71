"""Reads cloze questions: a context, choices of how it goes on, and which of them is right."""

import json
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import lines_of
from unix_lib.benchmarks.errors import BenchmarkError

CLOZE_KEYS = {"question": str, "choices": list, "answer": int}


def read_cloze(path: Path) -> list[dict[str, Any]]:
    """Choice questions, a JSON object `{question, choices, answer}` a line.

    Raises:
        BenchmarkError: names the first bad line.
    """
    rows = []
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        try:
            row = json.loads(line)
            fits = all(isinstance(row[key], kind) for key, kind in CLOZE_KEYS.items())
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits or not 0 <= row["answer"] < len(row["choices"]):
            raise BenchmarkError(
                f"{path}:{number}: not a question with choices and an answer among them; make it again"
            )
        rows.append(row)
    if not rows:
        raise BenchmarkError(f"{path}: no questions; raise cloze_questions of the text source, or give it more text")
    return rows

"""Reads GenEval's prompts: what each image must show, with the metadata that say so."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import lines_of

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

Clause = TypedDict(  # `position`: a relation, and the clause it is to
    "Clause",
    {"class": str, "count": int, "color": NotRequired[str | None], "position": NotRequired[tuple[str, int]]},
)


class Prompt(TypedDict):
    """GenEval's metadata of a prompt."""

    tag: str  # one of `TASKS`
    prompt: str
    include: list[Clause]
    exclude: NotRequired[list[Clause]]


class GenEvalError(UserError):
    """Prompt metadata that is not in GenEval's layout."""


def read_prompts(path: Path, limit: int | None = None) -> list[Prompt]:
    """GenEval's prompt metadata (`tag, prompt, include, exclude`), one JSON object a line.

    With a limit this many are kept, the tasks in turn, so that each stays represented.

    Raises:
        GenEvalError: names the first line that is not in GenEval's layout.
    """
    prompts: list[Prompt] = []
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        try:
            metadata = json.loads(line)
        except ValueError as error:
            raise GenEvalError(f"{path}:{number}: not JSON ({error}); make or fetch the file again") from None
        check_prompt(metadata, f"{path}:{number}")
        prompts.append(metadata)
    if not prompts:
        raise GenEvalError(f"{path}: no prompts; raise prompts_per_task of the source")
    if limit is None or limit >= len(prompts):
        return prompts
    turns = [(turn, index) for index, turn in enumerate(_counted([prompt["tag"] for prompt in prompts]))]
    return [prompts[index] for index in sorted(index for _, index in sorted(turns)[:limit])]


def check_prompt(metadata: dict[str, Any], where: str) -> None:
    """Refuse metadata that a verdict could misread.

    Raises:
        GenEvalError: names the place and the field.
    """
    if metadata.get("tag") not in TASKS:
        raise GenEvalError(f"{where}: 'tag' is {metadata.get('tag')!r}; GenEval's tasks are {', '.join(TASKS)}")
    if not metadata.get("prompt") or not metadata.get("include"):
        raise GenEvalError(f"{where}: 'prompt' and 'include' must not be empty; fetch or make the file again")
    for index, clause in enumerate(metadata["include"]):
        target = clause.get("position", [None, -1])[1]
        if "class" not in clause or "count" not in clause or target >= index:
            raise GenEvalError(f"{where}: include[{index}] needs 'class', 'count' and a 'position' that points back")


def occurrences(prompts: Sequence[Prompt]) -> list[int]:
    """For each prompt, how often its text stood before it."""
    return _counted([prompt["prompt"] for prompt in prompts])


def _counted(values: Sequence[str]) -> list[int]:
    """For each value, how often it stood before."""
    counters: dict[str, Iterator[int]] = defaultdict(count)
    return [next(counters[value]) for value in values]

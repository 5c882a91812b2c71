"""Reads GenEval's prompts: what each image must show, with the metadata that say so."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, get_args

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import canonical_json
from unix_lib.benchmarks.rows import RejectedRow, first_of, read_placed_rows
from unix_lib.benchmarks.wordings import read_wordings
from unix_lib.records.lines import BadLine, fault_of

Task = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr"]
TASKS = get_args(Task)
Relation = Literal["left of", "right of", "above", "below"]

Clause = TypedDict(  # `position`: a relation, and the clause it is to
    "Clause",
    {
        "class": Annotated[str, Field(min_length=1)],
        "count": Annotated[int, Field(ge=1, strict=True)],
        "color": NotRequired[str | None],
        "position": NotRequired[tuple[Relation, Annotated[int, Field(ge=0, strict=True)]] | None],
    },
)


class Prompt(TypedDict):
    """GenEval's metadata of a prompt."""

    tag: Task
    prompt: Annotated[str, Field(min_length=1)]
    include: Annotated[list[Clause], Field(min_length=1)]
    exclude: NotRequired[list[Clause]]


LAYOUT = TypeAdapter(Prompt)


class GenEvalError(UserError):
    """A file without a prompt in GenEval's layout."""


def read_prompts(
    path: Path, limit: int | None = None, wordings: str | None = None
) -> tuple[list[Prompt], list[RejectedRow]]:
    """GenEval's prompt metadata (`tag, prompt, include, exclude`), one JSON object a line, and what was set aside.

    With a limit this many are kept, the tasks in turn, so that each stays represented. `wordings` is a file with the
    prompts in other words, a line for each.

    Raises:
        GenEvalError: not one usable prompt. BenchmarkError: another number of wordings.
    """
    rows, rejected = read_placed_rows(path, checked_prompt)
    prompts: list[Prompt] = [prompt for _, prompt in rows]
    if wordings is not None:
        texts, faults = read_wordings(Path(wordings), len(rows) + len(rejected))
        prompts = [prompt | {"prompt": texts[place]} for place, prompt in rows if place in texts]
        rejected += [faults[place] for place, _ in rows if place in faults]
    if not prompts:
        raise GenEvalError(
            f"{path}: no prompts{first_of(rejected)}; fetch the file again, or raise prompts_per_task of the source"
        )
    if limit is None or limit >= len(prompts):
        return prompts, rejected
    turns = [(turn, index) for index, turn in enumerate(occurrences([prompt["tag"] for prompt in prompts]))]
    return [prompts[index] for index in sorted(index for _, index in sorted(turns)[:limit])], rejected


def checked_prompt(metadata: Any) -> Prompt:
    """The metadata, none of which a verdict could misread.

    Raises:
        BadLine: they are in another layout.
    """
    try:
        LAYOUT.validate_python(metadata)
        prompt: Prompt = metadata
        fault = fault_of(prompt["prompt"]) or fault_of(canonical_json(prompt))
    except ValueError as error:  # pydantic's, or a NaN
        raise BadLine("not in GenEval's layout") from error
    if fault is not None:
        raise BadLine(f"a text {fault}")
    for index, clause in enumerate(prompt["include"]):
        if (position := clause.get("position")) and position[1] >= index:
            raise BadLine(f"'include.{index}.position' does not point back")
    return prompt


def occurrences(values: Sequence[str]) -> list[int]:
    """For each value, such as a prompt's text, how often it stood before."""
    counters: dict[str, Iterator[int]] = defaultdict(count)
    return [next(counters[value]) for value in values]

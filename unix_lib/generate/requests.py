"""What a user asks for: prompts and images from the command line or a file, one request per wanted output.

A prompt file is text with one prompt a line, or JSONL with one object a line: `prompt`, and optionally `image` (a path
beside the file) and `seed`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError

_FIELDS = {"prompt": str, "image": str, "seed": int}


class RequestError(UserError):
    """A prompt file that can't be read, or a request that asks for nothing."""


@dataclass(frozen=True)
class Request:
    """One wanted output."""

    prompt: str  # may be empty where there is an image
    image: Path | None
    seed: int


def requests_of(
    prompts: Sequence[str], images: Sequence[Path], file: Path | None, seed: int, count: int
) -> list[Request]:
    """Every prompt about every image, then the file's lines, each `count` times with seeds that count up.

    Args:
        prompts, images: from the command line; either may be empty.
        file: a prompt file.
        seed: of each request's first output, where its line gives none.
        count: outputs per request, at least 1.

    Raises:
        RequestError: nothing is asked for, or the first line of the file that is not as it should be.
    """
    asked: list[tuple[str, Path | None, int]] = []
    subjects: Sequence[Path | None] = images or [None]
    if prompts or images:
        asked += [(prompt, image, seed) for prompt, image in product(prompts or [""], subjects)]
    if file is not None:
        asked += _read(file, seed)
    if not asked:
        raise RequestError("nothing to generate from: give a prompt, or a file of prompts with --prompts")
    return [Request(prompt, image, first + index) for prompt, image, first in asked for index in range(count)]


def _read(file: Path, seed: int) -> Iterator[tuple[str, Path | None, int]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: not a readable text file ({error}); give one prompt a line, or JSONL") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if file.suffix != ".jsonl":
            yield line.strip(), None, seed
            continue
        row = _row(line, f"{file}:{number}")
        image = row.get("image")
        yield row.get("prompt", ""), None if image is None else file.parent / image, row.get("seed", seed)


def _row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise RequestError(f"{place}: not JSON ({error}); mend the line or leave it out") from None
    if not isinstance(row, dict) or not row or not row.keys() <= _FIELDS.keys():
        raise RequestError(f"{place}: give a JSON object with 'prompt' and, where wanted, 'image' and 'seed'")
    for name, value in row.items():
        if not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
            raise RequestError(f"{place}: '{name}' must be a {'number' if name == 'seed' else 'string'}, not {value!r}")
    return row

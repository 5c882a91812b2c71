"""What a user asks for: prompts and images from the command line or a file, one wish per wanted output.

A prompt file is text with one prompt a line, or JSONL with one object a line: `prompt`, and optionally `image` (a path
beside the file) and `seed`. A line that is none becomes a wish with a fault, so that it keeps its number.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.records.lines import BadLine, numbered_lines, text_of, value_of

_FIELDS = {"prompt": str, "image": str, "seed": int}
MOST_SEED = 2**64 - 1

log = logging.getLogger(__name__)


class WishError(UserError):
    """A prompt file that can't be read, or no wish at all."""


@dataclass(frozen=True)
class Wish:
    """One wanted output; `fault` says where and why its line can't be used."""

    prompt: str  # may be empty where there is an image
    image: Path | None
    seed: int
    fault: str | None = None


def wishes_of(prompts: Sequence[str], images: Sequence[Path], file: Path | None, seed: int, count: int) -> list[Wish]:
    """Every prompt about every image, then the file's lines, each `count` times with seeds that count up.

    Args:
        prompts, images: from the command line; either may be empty.
        file: a prompt file.
        seed: of each request's first output, where its line gives none.
        count: outputs per request, at least 1.

    Raises:
        WishError: nothing is asked for, or the file can't be read.
    """
    asked: list[Wish] = []
    subjects: Sequence[Path | None] = images or [None]
    if prompts or images:
        asked += [Wish(prompt, image, seed) for prompt, image in product(prompts or [""], subjects)]
    if file is not None:
        asked += _read(file, seed, MOST_SEED - count + 1)
    if not asked:
        raise WishError("nothing to generate from: give a prompt, or a file of prompts with --prompts")
    return [replace(wish, seed=wish.seed + index) for wish in asked for index in range(count)]


def _read(file: Path, seed: int, largest: int) -> Iterator[Wish]:
    """A file's lines; `seed` where a line gives none, and at most `largest` where it does."""
    try:
        lines = list(numbered_lines(file))
    except OSError as error:
        raise WishError(f"{file}: not a readable text file ({error}); give one prompt a line, or JSONL") from None
    for number, line in lines:
        try:
            text = text_of(line)
            row: dict[str, Any] = _row(text, largest) if file.suffix == ".jsonl" else {"prompt": text.strip()}
        except BadLine as error:
            if error.__cause__ is not None:
                log.warning("%s:%d: %s (%s)", file, number, error, error.__cause__)
            yield Wish("", None, seed, f"{file}:{number}: {error}")
            continue
        image = row.get("image")
        yield Wish(row.get("prompt", ""), None if image is None else file.parent / image, row.get("seed", seed))


def _row(text: str, largest_seed: int) -> dict[str, Any]:
    row = value_of(text)
    if not isinstance(row, dict) or not row or not row.keys() <= _FIELDS.keys():
        raise BadLine("give a JSON object with 'prompt' and, where wanted, 'image' and 'seed'")
    for name, value in row.items():
        if not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
            wanted = "whole number" if name == "seed" else "string"
            raise BadLine(f"'{name}' must be a {wanted}, not of type {type(value).__name__}")
    if not 0 <= row.get("seed", 0) <= largest_seed:
        raise BadLine(f"'seed' must be in 0..{largest_seed}")
    return row

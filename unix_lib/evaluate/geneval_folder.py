"""Reads images that were made elsewhere, in GenEval's own layout: a numbered folder a prompt.

`00000/metadata.jsonl` says what the images `00000/samples/*` must show. Files may be called anything. What can't be
used is set aside with a reason; an image that should be there and is not is named too, since it counts as wrong.
"""

import hashlib
import io
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import Prompt, checked_prompt
from unix_lib.benchmarks.rows import read_json_rows
from unix_lib.config.folders import is_regular
from unix_lib.evaluate.geneval import requirement
from unix_lib.images.files import BadImage, rgb_of
from unix_lib.records.rejected import RejectedSamples, encodable
from unix_lib.records.schema import Row

log = logging.getLogger(__name__)
METADATA, SAMPLES = "metadata.jsonl", "samples"


@dataclass(frozen=True)
class Brought:
    """An image of a prompt, or a missing one."""

    prompt_index: int  # in `BroughtImages.prompts`
    sample_index: int  # in the order of file names
    file: str  # below the folder; what a missing one might be called
    path: Path | None  # None of a missing one
    sha256: str  # of its bytes; empty of a missing one

    def rgb(self) -> np.ndarray:
        """The image, uint8 (height, width, 3), upright."""
        assert self.path is not None
        return rgb_of(self.path)

    @property
    def row(self) -> Row:
        """Whose image it is, as rows of answers have it, and its name."""
        return {"prompt_index": self.prompt_index, "sample_index": self.sample_index, "file": self.file}


@dataclass
class BroughtImages:
    """What a folder holds."""

    prompts: list[Prompt]
    images: list[Brought] = field(default_factory=list)
    per_prompt: int = 0
    reworded: int = 0  # prompts that ask for the same in other words than the benchmark's
    rejected: RejectedSamples = field(default_factory=RejectedSamples)

    @property
    def missing(self) -> int:
        """Images that should be there and are not."""
        return sum(image.path is None for image in self.images)


def read_folder(folder: Path, benchmark: Sequence[Prompt] | None, per_prompt: int | None) -> BroughtImages:
    """The images below a folder.

    Args:
        benchmark: its prompts, by the folders' numbers, also of folders without metadata; without them a folder's own
            metadata are believed, and nobody knows which folders are missing.
        per_prompt: images that each prompt should have; by default as many as most have.

    Raises:
        BenchmarkError: there is not one image in that layout.
    """
    if not folder.is_dir():
        raise BenchmarkError(f"{folder}: no folder; give one with 00000/{METADATA}, 00000/{SAMPLES}/ and so on in it")
    brought = BroughtImages([])
    numbered = _numbered(folder, brought.rejected)
    prompts: dict[int, Prompt] = dict(enumerate(benchmark or ()))
    for number, path in list(numbered.items()):
        own = _metadata(path, brought.rejected)
        if number in prompts and (own is None or _asks_for(own) == _asks_for(prompts[number])):
            brought.reworded += own is not None and own["prompt"] != prompts[number]["prompt"]
        elif own is not None and benchmark is None:
            prompts[number] = own
        else:
            known = "not a prompt's number" if number not in prompts else "metadata that ask for something else"
            _set_aside(path, folder, brought.rejected, "not of this benchmark", known)
            del numbered[number]
    log.info("%s: %d folders of prompts; reading their images", folder, len(numbered))
    found = {number: _images(numbered[number], folder, brought.rejected) for number in prompts if number in numbered}
    counts = Counter(len(images) for images in found.values() if images)
    if not counts:
        first = brought.rejected.first
        raise BenchmarkError(
            f"{folder}: no image in the layout 00000/{SAMPLES}/00000.png{f' ({first})' if first else ''}"
        )
    brought.per_prompt = per_prompt or max(counts, key=lambda count: (counts[count], count))
    for index, (number, prompt) in enumerate(sorted(prompts.items())):
        brought.prompts.append(prompt)
        brought.images += _of_prompt(index, number, found.get(number, {}), brought)
    return brought


def _numbered(folder: Path, rejected: RejectedSamples) -> dict[int, Path]:
    """Prompts' folders by their numbers."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        number = int(path.name) if path.name.isascii() and path.name.isdigit() else None
        if number is None or not path.is_dir():
            _set_aside(path, folder, rejected, "not a prompt's folder", "its name is no number, or it is a file")
        elif number in found:
            _set_aside(path, folder, rejected, "not a prompt's folder", f"{found[number].name} has the same number")
        else:
            found[number] = path
    return found


def _metadata(path: Path, rejected: RejectedSamples) -> Prompt | None:
    """What a folder says that its images must show; None, and set aside, where it says it badly or not at all."""
    file = path / METADATA
    if not is_regular(file):
        rejected.add(f"{path.name}/{METADATA}", path.name, "no metadata", "no such file")
        return None
    rows, bad = read_json_rows(file, checked_prompt)
    if len(rows) == 1 and not bad:
        prompt: Prompt = rows[0]
        return prompt
    detail = bad[0].detail if bad else f"{len(rows)} objects instead of one"
    rejected.add(f"{path.name}/{METADATA}", path.name, "no metadata", detail)
    return None


def _asks_for(prompt: Prompt) -> tuple[str, str]:
    return prompt["tag"], requirement(prompt)


def _images(path: Path, folder: Path, rejected: RejectedSamples) -> dict[Path, str]:
    """A prompt's images that can be read, with the SHA-256 of their bytes, in the order of their names."""
    found: dict[Path, str] = {}
    for file in sorted((path / SAMPLES).iterdir()) if (path / SAMPLES).is_dir() else ():
        try:
            if not is_regular(file):
                raise BadImage("no image", "not a regular file")
            data = file.read_bytes()
            rgb_of(io.BytesIO(data))
            found[file] = hashlib.sha256(data).hexdigest()
        except BadImage as error:
            _set_aside(file, folder, rejected, error.reason, error.detail)
        except OSError as error:
            rejected.add(_name(file, folder), _name(path, folder), "no image", "can't be read", cause=error)
    return found


def _of_prompt(index: int, number: int, found: Mapping[Path, str], brought: BroughtImages) -> list[Brought]:
    """As many images of a prompt as there should be."""
    images = []
    for place, (path, sha256) in enumerate(found.items()):
        folder = path.parents[2]
        if place < brought.per_prompt:
            images.append(Brought(index, place, _name(path, folder), path, sha256))
        else:
            _set_aside(path, folder, brought.rejected, "extra image", f"a prompt has {brought.per_prompt}")
    lacking = range(len(images), brought.per_prompt)
    return images + [Brought(index, at, f"{number:05d}/{SAMPLES}/missing-{at}", None, "") for at in lacking]


def _set_aside(path: Path, folder: Path, rejected: RejectedSamples, reason: str, detail: str) -> None:
    rejected.add(_name(path, folder), _name(path.parent, folder), reason, detail)


def _name(path: Path, folder: Path) -> str:
    return encodable(path.relative_to(folder).as_posix())

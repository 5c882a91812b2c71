"""From requests to files: PNG images or texts, numbered, with `outputs.jsonl` beside them.

Each line of `outputs.jsonl` says what its file was made from: prompt, image, seed, sampling settings and checkpoint. A
request that can't be served stops no other: it goes to `rejected.jsonl` with a reason from a fixed list. Outputs are
written batch by batch, so a run that is stopped keeps what it has.
"""

import json
import logging
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import atomic_path, canonical_json, write_text
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.chat.assistant import Assistant
from unix_lib.config.folders import is_regular
from unix_lib.config.generate import ImageSampling
from unix_lib.generate.wishes import Wish
from unix_lib.images.files import BadImage
from unix_lib.inference.needs import check_request
from unix_lib.inference.requests import Request, TextSampling
from unix_lib.inference.sampling import check_guidance, check_sampling
from unix_lib.models.configuration import ModelError
from unix_lib.records.rejected import encodable

log = logging.getLogger(__name__)

OUTPUTS, REJECTED = "outputs.jsonl", "rejected.jsonl"
Record = dict[str, Any]  # a line of them


class OutputError(UserError):
    """A folder that can't take outputs."""


class RejectedRequest(Exception):
    """A request that is set aside: `reason` is fixed, `detail` is not."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Outputs(ABC):
    """One kind of output of a checkpoint."""

    suffix: str

    def __init__(self, assistant: Assistant, sampling: dict[str, Any]) -> None:
        """`sampling` is recorded with each output."""
        self.assistant, self.sampling = assistant, sampling

    @abstractmethod
    def ask(self, wish: Wish) -> Request:
        """What the engine is asked.

        Raises:
            RejectedRequest: there is nothing to continue, or its image can't be read.
        """

    @abstractmethod
    def save(self, tokens: Sequence[int], path: Path) -> Record:
        """Write one output; returns what its record says beside the common fields."""


class Images(Outputs):
    """Images from text."""

    suffix = ".png"

    def __init__(self, assistant: Assistant, sampling: ImageSampling) -> None:
        super().__init__(assistant, sampling.model_dump())
        check_guidance(sampling.guidance_scale)

    def ask(self, wish: Wish) -> Request:
        if wish.image is not None:
            raise RejectedRequest("image beside the prompt", "an image is generated from text alone")
        if not wish.prompt.strip():
            raise RejectedRequest("empty prompt", "an image needs a prompt")
        return self.assistant.image_request(wish.prompt, seed=wish.seed, **self.sampling)

    def save(self, tokens: Sequence[int], path: Path) -> Record:
        (image,) = self.assistant.read(tokens)
        assert isinstance(image, Image.Image)
        with atomic_path(path) as temporary:
            image.save(temporary, format="PNG")
        return {}


class Texts(Outputs):
    """Captions of images, answers to questions about them, continuations of texts."""

    suffix = ".txt"

    def __init__(self, assistant: Assistant, sampling: TextSampling) -> None:
        super().__init__(assistant, asdict(sampling))
        self.text = sampling
        self._codes_of: dict[Path, np.ndarray] = {}

    def ask(self, wish: Wish) -> Request:
        if wish.image is None:
            if not wish.prompt.strip():
                raise RejectedRequest("empty prompt", "a text needs a prompt or an image")
            return self.assistant.text_request(wish.prompt, self.text, seed=wish.seed)
        if wish.image not in self._codes_of:
            self._codes_of[wish.image] = self._encode(wish.image)
        return self.assistant.question_request(wish.prompt, self._codes_of[wish.image], self.text, seed=wish.seed)

    def _encode(self, path: Path) -> np.ndarray:
        """Codes (codes_per_image,) of a user's image."""
        if not is_regular(path):
            raise RejectedRequest("no such image", str(path))
        try:
            return self.assistant.codes(path)
        except BadImage as error:
            log.info("%s: %s (%s)", path, error, error.__cause__)
            raise RejectedRequest(error.reason, f"{path}: {error.detail}") from None

    def save(self, tokens: Sequence[int], path: Path) -> Record:
        text = "".join(str(part) for part in self.assistant.read(tokens))
        write_text(path, text + "\n")
        return {"text": text}


def write_outputs(kind: Outputs, wishes: Sequence[Wish], folder: Path) -> tuple[list[Record], Counter[str]]:
    """Serve requests into a folder; the number of a file is the place of its request.

    Returns:
        the lines of `outputs.jsonl`, and how many requests were set aside, by reason.

    Raises:
        OutputError: the folder has outputs already, or can't be made. ModelError: sampling settings without meaning.
    """
    checkpoint = kind.assistant.checkpoint
    picked = {name: kind.sampling[name] for name in ("temperature", "top_k", "top_p")}
    check_sampling([wish.seed for wish in wishes], **picked)
    _take(folder)
    requests, rejected = _requests(kind, wishes)
    if rejected:
        write_text(folder / REJECTED, "".join(canonical_json(row) + "\n" for row in rejected))
    made = read_manifest(checkpoint.folder)
    common: Record = {"checkpoint": made.artefact, "checkpoint_digest": made.digest, "settings": kind.sampling}
    records: list[Record] = []
    places, batch, started = list(requests), checkpoint.batch_size, time.monotonic()
    for begin in range(0, len(places), batch):
        chosen = places[begin : begin + batch]
        outputs = kind.assistant.engine.run(requests[place] for place in chosen)
        with open(folder / OUTPUTS, "a", encoding="utf-8") as file:
            for place, tokens in zip(chosen, outputs, strict=True):
                name = f"{place:05d}{kind.suffix}"
                more = kind.save(tokens, folder / name)
                records.append({"file": name} | _asked(wishes[place]) | more | common)
                file.write(json.dumps(records[-1], ensure_ascii=False) + "\n")
        speed = len(records) / (time.monotonic() - started)
        left = (len(places) - len(records)) / speed
        log.info("%d/%d outputs, %.2f a second, %.0f s left", len(records), len(places), speed, left)
    return records, Counter(row["reason"] for row in rejected)


def _take(folder: Path) -> None:
    """Make sure of a new folder's place before anything is computed for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = (folder / OUTPUTS).exists()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: can't be a folder for outputs ({error}); give another one with --output"
        ) from None
    if taken:
        raise OutputError(f"{folder}: has outputs already; give another folder with --output, or delete it")


def _requests(kind: Outputs, wishes: Sequence[Wish]) -> tuple[dict[int, Request], list[Record]]:
    """What the engine is asked, by the place of the wish, and the wishes that are set aside."""
    requests: dict[int, Request] = {}
    rejected: list[Record] = []
    for place, wish in enumerate(wishes):
        try:
            if wish.fault is not None:
                raise RejectedRequest("malformed line", wish.fault)
            if encodable(wish.prompt) != wish.prompt:
                raise RejectedRequest("prompt not Unicode", "half of a surrogate pair, or a byte that is not UTF-8")
            request = kind.ask(wish)
            try:
                check_request(request, kind.assistant.model.config)
            except ModelError as error:
                raise RejectedRequest("prompt too long", str(error)) from None
            requests[place] = request
        except RejectedRequest as error:
            rejected.append(_asked(wish) | {"reason": error.reason, "detail": encodable(error.detail)})
    return requests, rejected


def _asked(wish: Wish) -> Record:
    return {
        "prompt": encodable(wish.prompt),
        "image": None if wish.image is None else encodable(str(wish.image)),
        "seed": wish.seed,
    }

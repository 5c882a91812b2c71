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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import atomic_path, canonical_json, write_text
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.folders import is_regular
from unix_lib.config.generate import ImageSampling
from unix_lib.generate.decoding import check_prompt
from unix_lib.generate.images import generate_images, image_steps
from unix_lib.generate.requests import Request
from unix_lib.generate.sampling import check_guidance, check_sampling
from unix_lib.generate.text import generate_text
from unix_lib.images.files import MAX_ASPECT_RATIO, MAX_PIXELS, BadImage, check_header, square_rgb
from unix_lib.models.configuration import ModelError
from unix_lib.pack.formats import Format
from unix_lib.pack.sequences import NO_TEXT, FixedParts, text_to_image_prompt_ids, vqa_prompt_ids
from unix_lib.records.rejected import encodable
from unix_lib.tokenizers.coded_images import decode_images, encode_images
from unix_lib.tokenizers.text import encode_texts

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


@dataclass(frozen=True)
class TextSampling:
    """How a text is sampled."""

    temperature: float  # 0 takes the most probable token
    top_k: int  # 0 keeps all
    top_p: float
    max_new_tokens: int


class Outputs(ABC):
    """One kind of output of a checkpoint."""

    suffix: str
    new_tokens: int  # positions that a prompt must leave free

    def __init__(self, checkpoint: Checkpoint, sampling: dict[str, Any], cuda_graph: bool) -> None:
        """`sampling` is recorded with each output, and what its generation is called with."""
        self.checkpoint, self.sampling, self.cuda_graph = checkpoint, sampling, cuda_graph

    @abstractmethod
    def prompt(self, request: Request) -> list[int]:
        """Ids that are continued.

        Raises:
            RejectedRequest: there is nothing to continue, or its image can't be read.
        """

    @abstractmethod
    def make(self, prompts: list[list[int]], seeds: list[int]) -> list[Any]:
        """One output per prompt and seed."""

    @abstractmethod
    def save(self, output: Any, path: Path) -> Record:
        """Write one output; returns what its record says beside the common fields."""


class Images(Outputs):
    """Images from text."""

    suffix = ".png"

    def __init__(self, checkpoint: Checkpoint, sampling: ImageSampling, cuda_graph: bool) -> None:
        super().__init__(checkpoint, sampling.model_dump(), cuda_graph)
        check_guidance(sampling.guidance_scale)
        self.new_tokens = image_steps(checkpoint.model)
        self.unconditional = text_to_image_prompt_ids(
            checkpoint.tokenizer, checkpoint.vocabulary, None, checkpoint.wording
        )

    def prompt(self, request: Request) -> list[int]:
        if request.image is not None:
            raise RejectedRequest("image beside the prompt", "an image is generated from text alone")
        if not request.prompt.strip():
            raise RejectedRequest("empty prompt", "an image needs a prompt")
        loaded = self.checkpoint
        return text_to_image_prompt_ids(loaded.tokenizer, loaded.vocabulary, request.prompt, loaded.wording)

    def make(self, prompts: list[list[int]], seeds: list[int]) -> list[Image.Image]:
        codes = generate_images(
            self.checkpoint.model,
            prompts,
            self.unconditional,
            seeds,
            batch_size=len(prompts),
            cuda_graph=self.cuda_graph,
            **self.sampling,
        )
        return [Image.fromarray(pixels) for pixels in decode_images(self.checkpoint.image_tokenizer, codes)]

    def save(self, output: Image.Image, path: Path) -> Record:
        with atomic_path(path) as temporary:
            output.save(temporary, format="PNG")
        return {}


class Texts(Outputs):
    """Captions of images, answers to questions about them, continuations of texts."""

    suffix = ".txt"

    def __init__(self, checkpoint: Checkpoint, sampling: TextSampling, cuda_graph: bool) -> None:
        super().__init__(checkpoint, asdict(sampling), cuda_graph)
        self.new_tokens = sampling.max_new_tokens - 1
        self._codes_of: dict[Path, np.ndarray] = {}

    def prompt(self, request: Request) -> list[int]:
        tokenizer, vocabulary, wording = self.checkpoint.tokenizer, self.checkpoint.vocabulary, self.checkpoint.wording
        if request.image is None:
            if not request.prompt.strip():
                raise RejectedRequest("empty prompt", "a text needs a prompt or an image")
            return encode_texts(tokenizer, [request.prompt])[0]
        if request.image not in self._codes_of:
            self._codes_of[request.image] = self._encode(request.image)
        codes = self._codes_of[request.image]
        if request.prompt.strip():
            return vqa_prompt_ids(tokenizer, vocabulary, codes, request.prompt, wording)
        return FixedParts.worded(tokenizer, vocabulary, wording).prompt(
            Format.IMAGE_TO_TEXT, NO_TEXT, codes[np.newaxis]
        )

    def _encode(self, path: Path) -> np.ndarray:
        """Codes (codes_per_image,) of a user's image, prepared as training images are."""
        if not is_regular(path):
            raise RejectedRequest("no such image", str(path))
        try:
            check_header(path, MAX_PIXELS, MAX_ASPECT_RATIO)
            square = square_rgb(path, self.checkpoint.image_tokenizer.image_size)
        except BadImage as error:
            log.info("%s: %s (%s)", path, error, error.__cause__)
            raise RejectedRequest(error.reason, f"{path}: {error.detail}") from None
        codes: np.ndarray = encode_images(self.checkpoint.image_tokenizer, square[None])[0]
        return codes

    def make(self, prompts: list[list[int]], seeds: list[int]) -> list[str]:
        answers = generate_text(
            self.checkpoint.model,
            prompts,
            stop_ids=[self.checkpoint.vocabulary.eos_id],
            batch_size=len(prompts),
            cuda_graph=self.cuda_graph,
            seeds=seeds,
            **self.sampling,
        )
        return [str(self.checkpoint.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in answers]

    def save(self, output: str, path: Path) -> Record:
        write_text(path, output + "\n")
        return {"text": output}


def write_outputs(kind: Outputs, requests: Sequence[Request], folder: Path) -> tuple[list[Record], Counter[str]]:
    """Serve requests into a folder; the number of a file is the place of its request.

    Returns:
        the lines of `outputs.jsonl`, and how many requests were set aside, by reason.

    Raises:
        OutputError: the folder has outputs already, or can't be made. ModelError: sampling settings without meaning.
    """
    picked = {name: kind.sampling[name] for name in ("temperature", "top_k", "top_p")}
    check_sampling(len(requests), [request.seed for request in requests], **picked)
    _take(folder)
    prompts, rejected = _prompts(kind, requests)
    if rejected:
        write_text(folder / REJECTED, "".join(canonical_json(row) + "\n" for row in rejected))
    checkpoint = read_manifest(kind.checkpoint.folder)
    common: Record = {"checkpoint": checkpoint.artefact, "checkpoint_digest": checkpoint.digest}
    common["settings"] = kind.sampling
    records: list[Record] = []
    places, batch, started = list(prompts), kind.checkpoint.batch_size, time.monotonic()
    for begin in range(0, len(places), batch):
        chosen = places[begin : begin + batch]
        outputs = kind.make([prompts[place] for place in chosen], [requests[place].seed for place in chosen])
        with open(folder / OUTPUTS, "a", encoding="utf-8") as file:
            for place, output in zip(chosen, outputs, strict=True):
                name = f"{place:05d}{kind.suffix}"
                more = kind.save(output, folder / name)
                records.append({"file": name} | _asked(requests[place]) | more | common)
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


def _prompts(kind: Outputs, requests: Sequence[Request]) -> tuple[dict[int, list[int]], list[Record]]:
    """Ids by the place of their request, and the requests that are set aside."""
    prompts: dict[int, list[int]] = {}
    rejected: list[Record] = []
    positions = kind.checkpoint.model.config.max_position_embeddings
    for place, request in enumerate(requests):
        try:
            if request.fault is not None:
                raise RejectedRequest("malformed line", request.fault)
            if encodable(request.prompt) != request.prompt:
                raise RejectedRequest("prompt not Unicode", "half of a surrogate pair, or a byte that is not UTF-8")
            ids = kind.prompt(request)
            try:
                check_prompt(ids, kind.new_tokens, positions)
            except ModelError as error:
                raise RejectedRequest("prompt too long", str(error)) from None
            prompts[place] = ids
        except RejectedRequest as error:
            rejected.append(_asked(request) | {"reason": error.reason, "detail": encodable(error.detail)})
    return prompts, rejected


def _asked(request: Request) -> Record:
    return {
        "prompt": encodable(request.prompt),
        "image": None if request.image is None else encodable(str(request.image)),
        "seed": request.seed,
    }

"""A small experiment on disk: records, codes, text tokenizer, vocabulary and pack jobs, made by the stages."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.jobs.making import make_job
from tests.records.making import write_splits
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.analyze import Inputs
from unix_lib.config.jobs import Execution
from unix_lib.config.pack import PackSettings
from unix_lib.config.tokenize import TokenizeSettings
from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.jobs.job import Job
from unix_lib.records.schema import CODES, RECORD
from unix_lib.tokenizers.train_bpe import BPETraining

IMAGE_CODES, CODEBOOK = 4, 16  # codes of an image, codes there are
COLORS, SHAPES = ("red", "green", "blue", "yellow"), ("circle", "square", "triangle")


@dataclass(frozen=True)
class Source:
    """Artefacts of one source."""

    records: str
    codes: str | None  # without images, none


def image_id_of(codes: list[int]) -> str:
    return hashlib.sha256(repr(codes).encode()).hexdigest()[:32]


def as_record(row: dict[str, Any], source: str) -> dict[str, Any]:
    """A row of `RECORD`; tests write an image's codes, or a list of several images', where the record has ids."""
    ids = [image_id_of(codes) for codes in images_of(row)] or row.get("image_ids")
    return {name: value for name, value in row.items() if name != "image_codes"} | {"image_ids": ids, "source": source}


def images_of(row: dict[str, Any]) -> list[list[int]]:
    """Codes of the images that a test's row shows."""
    codes = row.get("image_codes")
    if codes is None:
        return []
    return codes if codes and isinstance(codes[0], list) else [codes]


def as_codes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `CODES`, each image once."""
    codes = {image_id_of(codes): codes for row in rows for codes in images_of(row)}
    return [{"image_id": image_id, "image_codes": codes[image_id]} for image_id in codes]


def write_source(
    results: Path, name: str, train: list[dict[str, Any]], heldout: list[dict[str, Any]] | None = None
) -> Source:
    """A finished source, its images encoded where its rows have codes."""
    splits = [train, heldout or []]
    of_splits = ([as_record(row, name) for row in rows] for rows in splits)
    records = write_splits(results, f"sources/{name}", RECORD, *of_splits)
    if not any("image_codes" in row for rows in splits for row in rows):
        return Source(records, None)
    return Source(records, write_splits(results, f"encode/{name}", CODES, *map(as_codes, splits)))


def caption(number: int) -> str:
    return f"a {COLORS[number % 4]} {SHAPES[number % 3]} number {number}"


def image_record(number: int) -> dict[str, Any]:
    codes = [(number + place) % CODEBOOK for place in range(IMAGE_CODES)]
    return {"sample_id": f"image-{number:04d}", "kind": "image_text", "text": caption(number), "image_codes": codes}


def conversation_record(number: int) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": f"What is in picture {number}?"},
        {"role": "assistant", "content": caption(number)},
        {"role": "user", "content": "Is there a dog?"},
        {"role": "assistant", "content": "no"},
    ]
    codes = [number % CODEBOOK] * IMAGE_CODES
    return {"sample_id": f"talk-{number:04d}", "kind": "conversation", "messages": messages, "image_codes": codes}


def text_record(number: int) -> dict[str, Any]:
    words = " ".join(f"{COLORS[(number + i) % 4]} things and {SHAPES[i % 3]}s;" for i in range(1 + number % 7))
    return {"sample_id": f"text-{number:04d}", "kind": "text", "text": f"Number {number}. {words}\n"}


class Experiment:
    """Two sources (`scenes` with images, `prose`), a tokenizer and a vocabulary below one results folder."""

    def __init__(self, results: Path, images: int = 60, texts: int = 40) -> None:
        self.results = results
        scenes = [image_record(i) for i in range(images)] + [conversation_record(i) for i in range(images // 2)]
        self.scenes_train, self.prose_train = scenes, [text_record(i) for i in range(texts)]
        self.scenes = write_source(results, "scenes", scenes, [image_record(9000 + i) for i in range(6)])
        self.prose = write_source(results, "prose", self.prose_train, [text_record(9000 + i) for i in range(5)])
        inputs: Inputs = {"records": [self.scenes.records, self.prose.records]}
        self.text_tokenizer = self._made("text", "text/train_bpe", BPETraining(vocabulary_size=400), inputs)
        settings = VocabularySettings(
            codebook_size=CODEBOOK, codes_per_image=IMAGE_CODES, multiple=64, padded_text_vocabulary=None
        )
        self.vocabulary = self._made("vocabulary", "vocabulary", settings, {"text_tokenizer": self.text_tokenizer})

    def _made(self, name: str, kind: str, settings: BPETraining | VocabularySettings, inputs: Inputs) -> str:
        job = make_job(self.results, "tokenizers", name, kind, settings, inputs)
        job.make()
        return job.recipe.artefact

    def tokens(self, source: Source, mixture: dict[str, Any]) -> str:
        """The tokens of a source's records, as a mixture takes them."""
        settings = TokenizeSettings(template=mixture.get("template", "ours"))
        inputs: Inputs = {"records": source.records, "text_tokenizer": self.text_tokenizer}
        name = source.records.removeprefix("sources/")
        job = make_job(self.results, "tokenize", name, "tokens", settings, inputs)
        job.make()
        return job.recipe.artefact

    def pack(self, sources: dict[str, Source], **settings: Any) -> tuple[Manifest, Path]:
        """Pack a mixture; returns its manifest and its folder."""
        job = self.pack_job(sources, **settings)
        manifest: Manifest = job.make()
        return manifest, job.folder

    def pack_job(self, sources: dict[str, Source], **settings: Any) -> Job[PackSettings, Execution]:
        """The job of a mixture, not yet run.

        Args:
            sources: by name.
            settings: of the mixture, where they differ from these: 100 tokens a pack, two epochs, whole sources.
        """
        given: dict[str, Any] = {
            "pack_length": 100,
            "seed": 218,
            "epochs": 2,
            "parts": [{"source": name} for name in sources],
        }
        inputs: Inputs = {"text_tokenizer": self.text_tokenizer, "vocabulary": self.vocabulary}
        for name, source in sources.items():
            inputs[f"tokens:{name}"] = [self.tokens(source, given | settings)]
            if source.codes is not None:
                inputs[f"codes:{name}"] = [source.codes]
        return make_job(self.results, "pack", "mixed", "packs", PackSettings.model_validate(given | settings), inputs)

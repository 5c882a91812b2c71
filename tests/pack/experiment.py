"""A small experiment on disk: records, text tokenizer, vocabulary and pack jobs, made by the stages themselves."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import Manifest, write_manifest
from unix_lib.pack.make import make_pack
from unix_lib.artefacts.recipe import Recipe, write_recipe
from unix_lib.records.schema import ENCODED_RECORD, SOURCE_RECORD
from unix_lib.records.shards import ShardWriter
from unix_lib.tokenizers.make import make_tokenizer

CODES, CODEBOOK = 4, 16
COLORS, SHAPES = ("red", "green", "blue", "yellow"), ("circle", "square", "triangle")


def make_job(
    results: Path, stage: str, name: str, settings: dict[str, Any], inputs: dict[str, str | list[str]] | None = None
) -> Job:
    """A job as a script would read it from the workflow's files."""
    recipe = Recipe(stage, name, 1, settings, inputs or {})
    write_recipe(recipe, results)
    execution = results / "execution.json"
    execution.write_text(json.dumps({"job": {"threads": 1}}))
    return Job.from_files(recipe.path(results), execution, results / recipe.artefact / "manifest.json")


def write_records(
    results: Path, source: str, train: list[dict[str, Any]], heldout: list[dict[str, Any]], schema: pa.Schema
) -> str:
    """A finished `encode` or `sources` artefact; returns its name as recipes give it."""
    recipe = Recipe("encode" if schema is ENCODED_RECORD else "sources", source, 1, {"records": len(train)})
    folder = results / recipe.artefact
    files: dict[str, int | None] = {}
    for split, rows in (("train", train), ("heldout", heldout)):
        with ShardWriter(folder, split, schema) as writer:  # type: ignore[arg-type]
            for row in rows:
                writer.write(row | {"source": source})
        files |= writer.files
    write_manifest(folder, recipe.digest, files)
    return recipe.artefact


def caption(number: int) -> str:
    return f"a {COLORS[number % 4]} {SHAPES[number % 3]} number {number}"


def image_record(number: int) -> dict[str, Any]:
    codes = [(number + place) % CODEBOOK for place in range(CODES)]
    return {"sample_id": f"image-{number:04d}", "kind": "image_text", "text": caption(number), "image_codes": codes}


def conversation_record(number: int) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": f"What is in picture {number}?"},
        {"role": "assistant", "content": caption(number)},
        {"role": "user", "content": "Is there a dog?"},
        {"role": "assistant", "content": "no"},
    ]
    codes = [number % CODEBOOK] * CODES
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
        heldout = [image_record(9000 + i) for i in range(6)]
        self.scenes = write_records(results, "scenes", scenes, heldout, ENCODED_RECORD)
        self.prose = write_records(
            results, "prose", self.prose_train, [text_record(9000 + i) for i in range(5)], SOURCE_RECORD
        )
        settings = {"kind": "train_bpe", "vocabulary_size": 400}
        job = make_job(results, "tokenizers", "text", settings, {"sources": [self.scenes, self.prose]})
        make_tokenizer(job)
        self.text_tokenizer = job.recipe.artefact
        settings = {
            "codebook_size": CODEBOOK,
            "codes_per_image": CODES,
            "multiple": 64,
            "padded_text_vocabulary": None,
        }
        job = make_job(results, "tokenizers", "vocabulary", settings, {"text_tokenizer": self.text_tokenizer})
        make_tokenizer(job)
        self.vocabulary = job.recipe.artefact

    def pack(self, records: list[str], parts: list[dict[str, Any]], **settings: Any) -> tuple[Manifest, Path]:
        """Pack a mixture; returns its manifest and its folder."""
        job = self.pack_job(records, parts, **settings)
        return make_pack(job), job.folder

    def pack_job(self, records: list[str], parts: list[dict[str, Any]], **settings: Any) -> Job:
        """The job of a mixture, not yet run."""
        defaults = {
            "length": 100,
            "seed": 218,
            "epochs": 2,
            "text_to_image_ratio": 0.8,
            "unconditional_probability": 0.1,
            "mask_instructions": True,
            "parts": [{"weight": 1.0, "kinds": []} | part for part in parts],
        }
        inputs: dict[str, str | list[str]] = {
            "records": records,
            "text_tokenizer": self.text_tokenizer,
            "vocabulary": self.vocabulary,
        }
        return make_job(self.results, "pack", "mixed", defaults | settings, inputs)

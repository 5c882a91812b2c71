"""A tiny experiment as the train stage sees it: packs, tokenizer and vocabulary, all written here, and its jobs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.pack.writer import FIELDS
from unix_lib.artefacts.recipe import Recipe, write_recipe
from unix_lib.tokenizers.vocabulary import build_vocabulary

LENGTH, CODES, CODEBOOK = 64, 9, 16
SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "layers": 3, "heads": 2, "key_value_heads": 1,
    "tie_embeddings": True, "max_positions": 128, "rope_theta": 10000.0, "initializer_range": 0.02,
}  # fmt: skip
UNIX = {"preset": "unix", "first": 1, "last": 1}


def _documents(generator: np.random.Generator, vocabulary: Any) -> list[tuple[list[int], list[bool]]]:
    """Documents of at most LENGTH tokens together: counting texts and images of one repeated code."""
    documents, left = [], LENGTH
    while left >= CODES + 8:
        if generator.random() < 0.5:
            begin, size = int(generator.integers(20, 60)), int(generator.integers(4, 12))
            ids = [20 + (begin + step) % 60 for step in range(size)]
            documents.append((ids, [False] + [True] * (size - 1)))
        else:
            codes = [vocabulary.image_offset + int(generator.integers(CODEBOOK))] * CODES
            ids = [25, 30, vocabulary.vision_start_id, *codes, vocabulary.vision_end_id]
            documents.append((ids, [False] * 3 + [True] * (CODES + 1)))
        left -= len(documents[-1][0])
    return documents


def _write_packs(path: Path, count: int, seed: int, vocabulary: Any) -> None:
    packs = [_documents(np.random.default_rng([seed, index]), vocabulary) for index in range(count)]
    columns = [
        [[token for ids, _ in pack for token in ids] for pack in packs],
        [[target for _, mask in pack for target in mask] for pack in packs],
        [[len(ids) for ids, _ in pack] for pack in packs],
    ]
    schema = pa.schema(FIELDS, metadata={"length": str(LENGTH), "packs_per_batch": str(max(1, count))})
    arrays = [pa.array(column, field.type) for column, field in zip(columns, FIELDS, strict=True)]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))


class Experiment:
    """The inputs below a results folder, and jobs that train on them."""

    def __init__(self, results: Path, packs: int = 7) -> None:
        self.results = results
        tokens = {f"<|{name}|>": i for i, name in enumerate(["endoftext", "vision_start", "vision_end"])}
        tokens |= {f"w{i}": i for i in range(3, 96)}
        tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="w3"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        folder = self._folder("tokenizers/text-000000000000")
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(
            folder / "tokenizer"
        )
        self._seal(folder)
        vocabulary = build_vocabulary(tokens, CODEBOOK, CODES, 32, None)
        folder = self._folder("tokenizers/vocabulary-000000000000")
        vocabulary.write(folder)
        self._seal(folder)
        folder = self._folder("pack/mixed-000000000000")
        for name, count, seed in (("epoch-000", packs - 2, 1), ("epoch-001", 2, 2), ("heldout", 3, 3)):
            _write_packs(folder / f"{name}.arrow", count, seed, vocabulary)
        self._seal(folder)

    def _folder(self, artefact: str) -> Path:
        (self.results / artefact).mkdir(parents=True)
        return self.results / artefact

    @staticmethod
    def _seal(folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): None for path in folder.rglob("*") if path.is_file()}
        write_manifest(folder, "0" * 64, dict(files))

    def paths(self, step: int, *, run: str = "tiny", execution: dict[str, Any] | None = None, **changes: Any) -> Any:
        """Write a checkpoint's recipe and execution file.

        Args:
            changes: settings that differ from the usual; `optimization` is merged.

        Returns:
            recipe, execution and manifest, the three paths on a script's command line.
        """
        optimization = {
            "total_steps": 12, "packs_per_step": 2, "learning_rate": 1e-2, "schedule": "cosine", "warmup_ratio": 0.25,
            "weight_decay": 0.1, "beta2": 0.95, "gradient_clip": 1.0,
        } | changes.pop("optimization", {})  # fmt: skip
        settings = {
            "plan": UNIX, "start": {"kind": "fresh", "shape": SHAPE}, "vision_start": "copy", "mixture": "mixed",
            "optimization": optimization, "keep_best_every": None, "seed": 5,
        } | changes  # fmt: skip
        inputs: dict[str, str | list[str]] = {
            "pack": "pack/mixed-000000000000",
            "text_tokenizer": "tokenizers/text-000000000000",
            "vocabulary": "tokenizers/vocabulary-000000000000",
        }
        digest = Recipe("train", run, 1, settings, inputs).digest
        own = {"run": run, "run_digest": digest, "step": step}
        recipe = Recipe("train", f"{run}-step-{step:05d}", 1, own | settings, inputs)
        write_recipe(recipe, self.results)
        values = {
            "job": {"threads": 1, "gpus": 0, "nodes": 1, "memory_mb": 1000, "runtime_minutes": 60},
            "micro_batch": 1, "zero_stage": 0, "precision": "float32", "attention": "sdpa",
            "gradient_checkpointing": False,
            "save_seconds": 3600, "log_steps": 4,
        }  # fmt: skip
        values |= execution or {}
        path = self.results / f"execution-{step}.json"
        path.write_text(json.dumps(values), encoding="utf-8")
        return recipe.path(self.results), path, self.results / recipe.artefact / "manifest.json"

    def job(self, step: int, **changes: Any) -> Job:
        """The job of a checkpoint; see `paths`."""
        return Job.from_files(*self.paths(step, **changes))

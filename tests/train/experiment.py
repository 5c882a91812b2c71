"""A tiny experiment as the train stage sees it: packs, tokenizer and vocabulary, all written here, and its jobs."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.jobs.making import make_job
from tests.pack.by_hand import Document, write_packs
from unix_lib.artefacts.files import digest_of
from unix_lib.artefacts.manifest import MANIFEST, Manifest, write_manifest
from unix_lib.artefacts.names import checkpoint_name
from unix_lib.config.analyze import Inputs
from unix_lib.config.models import DecoderShape, FreshStart, StartConfig, UnixPlan
from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.config.train import CheckpointSettings, RunSettings, TrainExecution
from unix_lib.jobs.job import Job
from unix_lib.recipes.workspace import execution_path
from unix_lib.tokenizers.vocabulary import build_vocabulary
from unix_lib.train.make import make_checkpoint

ROOT = Path(__file__).resolve().parents[2]
LENGTH, CODES, CODEBOOK = 64, 9, 16
TEXT_SIZE = 96
SHAPE = DecoderShape(
    hidden_size=32, intermediate_size=64, layers=3, heads=2, key_value_heads=1, max_positions=128
)  # fmt: skip
UNIX = UnixPlan(preset="unix", first=1, last=1)
FRESH = FreshStart(kind="fresh", shape=SHAPE)
OPTIMIZATION = {
    "total_steps": 12, "packs_per_step": 2, "learning_rate": 1e-2, "schedule": "cosine", "warmup_ratio": 0.25,
    "weight_decay": 0.1, "beta2": 0.95, "gradient_clip": 1.0,
}  # fmt: skip


def _documents(generator: np.random.Generator, vocabulary: Any) -> list[Document]:
    """Documents of at most LENGTH tokens together: counting texts and images of one repeated code."""
    documents: list[Document] = []
    left = LENGTH
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


def _packs(count: int, seed: int, vocabulary: Any) -> list[list[Document]]:
    return [_documents(np.random.default_rng([seed, index]), vocabulary) for index in range(count)]


class Experiment:
    """The inputs below a results folder, and jobs that train on them."""

    def __init__(self, results: Path, packs: int = 7) -> None:
        self.results = results
        tokens = {f"<|{name}|>": i for i, name in enumerate(["endoftext", "vision_start", "vision_end"])}
        tokens |= {f"w{i}": i for i in range(3, TEXT_SIZE)}
        tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="w3"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        folder = self._folder("tokenizers/text-000000000000")
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(
            folder / "tokenizer"
        )
        self._seal(folder)
        vocabulary = build_vocabulary(
            tokens,
            VocabularySettings(codebook_size=CODEBOOK, codes_per_image=CODES, multiple=32, padded_text_vocabulary=None),
        )
        folder = self._folder("tokenizers/vocabulary-000000000000")
        vocabulary.write(folder)
        self._seal(folder)
        folder = self._folder("pack/mixed-000000000000")
        files = (("epoch-000", packs - 2, 1), ("epoch-001", 2, 2), ("heldout", 3, 3))
        write_packs(folder, {name: _packs(count, seed, vocabulary) for name, count, seed in files}, vocabulary, LENGTH)
        self._seal(folder)

    @classmethod
    def at(cls, results: Path) -> "Experiment":
        """One whose inputs are there already."""
        experiment = object.__new__(cls)
        experiment.results = results
        return experiment

    def _folder(self, artefact: str) -> Path:
        (self.results / artefact).mkdir(parents=True)
        return self.results / artefact

    @staticmethod
    def _seal(folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): None for path in folder.rglob("*") if path.is_file()}
        write_manifest(folder, "0" * 64, dict(files))

    def job(
        self,
        step: int,
        *,
        run: str = "tiny",
        execution: dict[str, Any] | None = None,
        optimization: dict[str, Any] | None = None,
        start: StartConfig = FRESH,
        started_from: Manifest | None = None,
        **changes: Any,
    ) -> Job[CheckpointSettings, TrainExecution]:
        """The job of a checkpoint.

        Args:
            execution, optimization: what differs from the usual.
            started_from: the checkpoint that a `RunStart` names.
            changes: other settings that differ from the usual.
        """
        inputs: Inputs = {
            "pack": "pack/mixed-000000000000",
            "text_tokenizer": "tokenizers/text-000000000000",
            "vocabulary": "tokenizers/vocabulary-000000000000",
        }
        if started_from is not None:
            inputs["start"] = started_from.artefact
        usual = {"plan": UNIX, "start": start, "mixture": "mixed", "seed": 5}
        usual["optimization"] = OPTIMIZATION | (optimization or {})
        settings = RunSettings.model_validate(usual | changes)
        of_step = settings.narrowed(
            CheckpointSettings, run=run, step=step, run_digest=digest_of([run, settings.semantic(), inputs])
        )
        typed = TrainExecution.model_validate({"save_seconds": 3600} | (execution or {}))
        return make_job(self.results, "train", checkpoint_name(run, step), "checkpoint", of_step, inputs, typed)


def train(experiment: Experiment, step: int, **changes: Any) -> Manifest:
    """Make a checkpoint in this process."""
    manifest = make_checkpoint(experiment.job(step, **changes))
    assert manifest is not None
    return manifest


def log_of(experiment: Experiment, manifest: Manifest) -> list[dict[str, Any]]:
    """A checkpoint's training log."""
    rows: list[dict[str, Any]] = pq.read_table(experiment.results / manifest.artefact / "log.parquet").to_pylist()
    return rows


def command(job: Job[CheckpointSettings, TrainExecution]) -> list[str]:
    """The command line that makes a checkpoint, as the workflow has it."""
    recipe = job.recipe.path(job.results)
    return [
        sys.executable, "-P", str(ROOT / "scripts" / "train.py"),
        "--recipe", str(recipe), "--execution", str(execution_path(recipe)), "--output", str(job.folder / MANIFEST),
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """This process's environment without what its own training left in it."""
    launched = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in os.environ.items() if name not in launched}

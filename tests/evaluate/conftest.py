"""A small experiment, made by the stages themselves except for its weights, which are random."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pack.experiment import make_job
from tests.sources.making import make
from unix_lib.artefacts.files import write_text
from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.config.models import DecoderShape, SharedPlan
from unix_lib.config.tokenizers import VQGANShape
from unix_lib.models.start import fresh_model
from unix_lib.artefacts.recipe import Recipe
from unix_lib.sources.text import cloze
from unix_lib.tokenizers.image import save_image_tokenizer
from unix_lib.tokenizers.make import make_tokenizer
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

SHAPE = VQGANShape(
    codebook_size=64,
    image_size=32,
    embedding_width=8,
    latent_width=16,
    base_channels=32,
    channel_multipliers=[1, 1, 1],
    residual_blocks=1,
    attention=False,
)
DECODER = DecoderShape(hidden_size=32, intermediate_size=64, layers=2, heads=2, key_value_heads=1)
FACTS = {"run": "tiny", "step": 0, "tokens": 0, "architecture": "shared", "seed": 7}
WORDS = "the of a value is when and returned by function object called with name if"


def finished(results: Path, stage: str, name: str, files: dict[str, int | None] | None = None, **facts: Any) -> Recipe:
    """Write the manifest of an artefact whose files are there already."""
    recipe = Recipe(stage, name, 1, {"made": "by a test"})
    folder = results / recipe.artefact
    found = {str(path.relative_to(folder)): None for path in sorted(folder.rglob("*")) if path.is_file()}
    write_manifest(folder, recipe.digest, files or found, facts=facts)
    return recipe


class SmallExperiment:
    """Artefacts of `shapes`, `prose`, both tokenizers and a random checkpoint; names as recipes give them."""

    def __init__(self, results: Path) -> None:
        self.results = results
        folder, _ = make(
            results,
            "shapes",
            kind="shapes",
            train_scenes=30,
            heldout_scenes=24,
            prompts_per_task=3,
            questions_per_benchmark=12,
        )
        self.shapes = f"sources/{folder.name}"
        self.prose = self._prose()
        settings = {"kind": "train_bpe", "vocabulary_size": 300}
        job = make_job(results, "tokenizers", "text", settings, {"sources": [self.shapes]})
        make_tokenizer(job)
        self.text_tokenizer = job.recipe.artefact
        settings = {"codebook_size": 64, "codes_per_image": 64, "multiple": 64, "padded_text_vocabulary": None}
        job = make_job(results, "tokenizers", "vocabulary", settings, {"text_tokenizer": self.text_tokenizer})
        make_tokenizer(job)
        self.vocabulary = Vocabulary.read(job.folder)
        torch.manual_seed(0)
        recipe = Recipe("tokenizers", "image", 1, {"made": "by a test"})
        (results / recipe.artefact).mkdir(parents=True)
        save_image_tokenizer(VQGAN(vqgan_config(SHAPE)), results / recipe.artefact)
        self.image_tokenizer = finished(results, "tokenizers", "image").artefact
        self.checkpoint = self._checkpoint()

    def _prose(self) -> str:
        rng = random.Random(0)
        documents = [" ".join(rng.choices(WORDS.split(), k=60)) for _ in range(30)]
        recipe = Recipe("sources", "prose", 1, {"made": "by a test"})
        rows = cloze.make_cloze(documents, 12, seed=1)
        assert len(rows) == 12
        write_text(
            self.results / recipe.artefact / "benchmarks" / "cloze.jsonl",
            "".join(json.dumps(row) + "\n" for row in rows),
        )
        return finished(self.results, "sources", "prose").artefact

    def _checkpoint(self) -> str:
        recipe = Recipe("train", "tiny-step-00000", 1, {"made": "by a test"})
        folder = self.results / recipe.artefact / "model"
        fresh_model(DECODER, SharedPlan(preset="shared"), self.vocabulary, 7).save_pretrained(folder)
        load_text_tokenizer(self.results / self.text_tokenizer).save_pretrained(folder)
        self.vocabulary.write(folder)
        return finished(self.results, "train", "tiny-step-00000", **FACTS).artefact

    def evaluation(self, *names: str, group: str = "all", **changes: Any) -> Job:
        """An evaluation job of some benchmarks; `changes` replace settings of them all."""
        sampling = {
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 0.95,
            "guidance_scale": 3.0,
            "images_per_prompt": 2,
            "seed": 218,
        }
        known: dict[str, dict[str, Any]] = {
            "geneval": {"scorer": "geneval", "layout": None, "chance": 0.0, "image_sampling": sampling},
            "pope": {
                "scorer": "yes_no",
                "layout": "pope",
                "chance": 0.5,
                "max_answer_tokens": 3,
                "question_suffix": "",
            },
            "mme": {"scorer": "yes_no", "layout": "mme", "chance": 0.5, "max_answer_tokens": 3, "question_suffix": ""},
            "mmbench": {
                "scorer": "multiple_choice",
                "layout": "mmbench",
                "chance": 0.25,
                "max_answer_tokens": 3,
                "question_suffix": "",
            },
            "cloze": {"scorer": "lm_eval", "layout": None, "chance": 0.25},
        }
        common = {"limit": None, "file": None, "task": None, "source": "as named", "logic_version": 1}
        inputs: dict[str, str | list[str]] = {"checkpoint": self.checkpoint, "image_tokenizer": self.image_tokenizer}
        for name in names:
            inputs[f"benchmark:{name}"] = self.prose if name == "cloze" else self.shapes
        settings = {
            "run": "tiny",
            "step": 0,
            "group": group,
            "benchmarks": {name: common | known[name] | changes for name in names},
            "bootstrap_samples": 200,
        }
        return make_job(self.results, "evaluate", f"tiny-step-00000-{group}", settings, inputs)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallExperiment:
    """One experiment for all tests of the session; their jobs have recipes of their own."""
    return SmallExperiment(tmp_path_factory.mktemp("results") / "small")

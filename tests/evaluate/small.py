"""A small experiment, made by the stages themselves except for its weights, which are random."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import torch

from tests.jobs.making import make_job
from tests.sources.making import make
from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.artefacts.recipe import Recipe
from unix_lib.config.analyze import Inputs
from unix_lib.config.evaluate import BenchmarkSettings, EvaluateConfig, JudgeSettings, ScorerKind, ScoresSettings
from unix_lib.config.generate import BenchmarkSampling, GenerateConfig, GroupSettings
from unix_lib.config.kinds import find_kind
from unix_lib.config.models import DecoderShape, SharedPlan
from unix_lib.config.tokenizers import VocabularySettings, VQGANShape
from unix_lib.jobs.job import Job
from unix_lib.models.start import fresh_model
from unix_lib.sources.text import cloze
from unix_lib.tokenizers.image import save_image_tokenizer
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.train_bpe import BPETraining
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
GENERATE = GenerateConfig(
    image_sampling=BenchmarkSampling(
        temperature=1.0, top_k=0, top_p=0.95, guidance_scale=3.0, images_per_prompt=2, seed=218
    ),
    max_answer_tokens=3,
)
BENCHMARKS: dict[str, dict[str, Any]] = {
    "geneval": {"scorer": "geneval", "source": "shapes"},
    "dpg": {"scorer": "dpg", "source": "shapes"},
    "pope": {"scorer": "yes_no", "layout": "pope", "source": "shapes", "chance": 0.5},
    "mme": {"scorer": "yes_no", "layout": "mme", "source": "shapes", "chance": 0.5},
    "mmbench": {"scorer": "multiple_choice", "layout": "mmbench", "source": "shapes", "chance": 0.25},
    "cloze": {"scorer": "lm_eval", "source": "prose", "chance": 0.25},
}


def finished(results: Path, stage: str, name: str, files: dict[str, int | None] | None = None, **facts: Any) -> Recipe:
    """Write the manifest of an artefact whose files are there already."""
    recipe = made_by_a_test(stage, name)
    folder = results / recipe.artefact
    found = {str(path.relative_to(folder)): None for path in sorted(folder.rglob("*")) if path.is_file()}
    write_manifest(folder, recipe.digest, files or found, facts=facts)
    return recipe


def made_by_a_test(stage: str, name: str) -> Recipe:
    return Recipe(stage, name, "test", 1, {"made": "by a test"})


class SmallExperiment:
    """Artefacts of `shapes`, `prose`, both tokenizers and a random checkpoint; names as recipes give them."""

    def __init__(self, results: Path) -> None:
        self.results = results
        made = make(
            results,
            "shapes",
            kind="shapes",
            train_scenes=30,
            heldout_scenes=24,
            prompts_per_task=3,
            questions_per_benchmark=12,
            dpg_prompts=2,
        )
        self.shapes = f"sources/{made['benchmarks'].folder.name}"
        self.records = f"sources/{made['records'].folder.name}"
        self.prose = self._prose()
        job = make_job(
            results,
            "tokenizers",
            "text",
            "text/train_bpe",
            BPETraining(vocabulary_size=300),
            {"records": [self.records]},
        )
        job.make()
        self.text_tokenizer = job.recipe.artefact
        settings = VocabularySettings(codebook_size=64, codes_per_image=64, multiple=64, padded_text_vocabulary=None)
        job = make_job(
            results, "tokenizers", "vocabulary", "vocabulary", settings, {"text_tokenizer": self.text_tokenizer}
        )
        job.make()
        self.vocabulary = Vocabulary.read(job.folder)
        torch.manual_seed(0)
        recipe = made_by_a_test("tokenizers", "image")
        (results / recipe.artefact).mkdir(parents=True)
        save_image_tokenizer(VQGAN(vqgan_config(SHAPE)), results / recipe.artefact)
        self.image_tokenizer = finished(results, "tokenizers", "image").artefact
        self.checkpoint = self._checkpoint()

    def _prose(self) -> str:
        rng = random.Random(0)
        documents = [" ".join(rng.choices(WORDS.split(), k=60)) for _ in range(30)]
        rows = cloze.make_cloze(documents, 12, seed=1)
        assert len(rows) == 12
        write_text(
            self.results / made_by_a_test("sources", "prose-benchmarks").artefact / "benchmarks" / "cloze.jsonl",
            "".join(json.dumps(row) + "\n" for row in rows),
        )
        return finished(self.results, "sources", "prose-benchmarks").artefact

    def _checkpoint(self) -> str:
        folder = self.results / made_by_a_test("train", "tiny-step-00000").artefact / "model"
        fresh_model(DECODER, SharedPlan(preset="shared"), self.vocabulary, 7).save_pretrained(folder)
        load_text_tokenizer(self.results / self.text_tokenizer).save_pretrained(folder)
        self.vocabulary.write(folder)
        return finished(self.results, "train", "tiny-step-00000", **FACTS).artefact

    def with_half_an_image(self, name: str, *rows: str) -> tuple[str, str]:
        """The benchmark `pope` with half of its first image and more rows: its artefact, and the question's id."""
        folder = self.results / made_by_a_test("sources", f"{name}-benchmarks").artefact / "benchmarks"
        shutil.rmtree(folder.parent, ignore_errors=True)
        heading, first, *others = (self.results / self.shapes / "benchmarks" / "pope.tsv").read_text().splitlines()
        *cells, png = first.split("\t")
        first = "\t".join([*cells, png[: len(png) // 8 * 4]])
        folder.mkdir(parents=True)
        (folder / "pope.tsv").write_text("\n".join([heading, first, *others, *rows]) + "\n")
        return finished(self.results, "sources", f"{name}-benchmarks").artefact, cells[0]

    def evaluation(self, *names: str, **settings: Any) -> "SmallEvaluation":
        """Answers and scores of some benchmarks; see `SmallEvaluation`."""
        return SmallEvaluation(self, list(names), **settings)

    def forget(self, stage: str = "generate") -> None:
        """Delete what a stage made, and what it would resume from."""
        for folder in (self.results / stage, self.results / "work" / stage):
            shutil.rmtree(folder, ignore_errors=True)


class SmallEvaluation:
    """A group's jobs, planned as the workflow plans them.

    Args:
        small: the experiment.
        names: of the group's benchmarks.
        group: its name.
        batch_size: samples computed together.
        judges: by name, as a config has them.
        sources: artefacts in the place of a source's own, by the source's name.
        changes: config keys of every benchmark that are not as in `BENCHMARKS`.
    """

    def __init__(
        self,
        small: SmallExperiment,
        names: list[str],
        *,
        group: str = "all",
        batch_size: int = 64,
        generate: GenerateConfig = GENERATE,
        judges: dict[str, dict[str, Any]] | None = None,
        sources: dict[str, str] | None = None,
        **changes: Any,
    ) -> None:
        benchmarks = {name: BENCHMARKS[name] | changes for name in names}
        config = EvaluateConfig.model_validate(
            {"benchmarks": benchmarks, "groups": {group: names}, "judges": judges or {}, "bootstrap_samples": 200}
        )
        self.small = small
        self.generate = generate.model_copy(update={"batch_size": batch_size})
        self.members: dict[str, Job[Any, Any]] = {}
        self.judgings: dict[str, Job[Any, Any]] = {}
        made = {"shapes": small.shapes, "prose": small.prose} | (sources or {})
        inputs: Inputs = {}
        scoring = {}
        for name, benchmark in config.benchmarks.items():
            source = None if benchmark.source is None else made[benchmark.source]
            self.members[name] = self._asked(name, benchmark, source)
            inputs[f"answers:{name}"] = self.members[name].recipe.artefact
            if source is not None:
                inputs[f"benchmark:{name}"] = source
            kind = find_kind("scorer", benchmark.scorer, ScorerKind)
            scoring[name] = benchmark.scoring(kind.scoring, self.generate, config.all_judges())
            if kind.judging is not None:
                self.judgings[name] = self._judging(name, kind, scoring[name], inputs, config)
                inputs[f"judging:{name}"] = self.judgings[name].recipe.artefact
        self.scoring = scoring
        answers = [member.recipe.artefact for member in self.members.values()]
        settings = GroupSettings(run="tiny", step=0, group=group)
        self.group = make_job(
            small.results,
            "generate",
            f"tiny-step-00000-group-{group}",
            "group",
            settings,
            {"answers": answers},
            self.generate,
        )
        of_scores = ScoresSettings(
            run="tiny", step=0, group=group, benchmarks=scoring, bootstrap_samples=config.bootstrap_samples
        )
        self.scores = make_job(
            small.results, "evaluate", f"tiny-step-00000-{group}", "scores", of_scores, inputs, config
        )

    def _asked(self, name: str, benchmark: BenchmarkSettings, source: str | None) -> Job[Any, Any]:
        kind = find_kind("scorer", benchmark.scorer, ScorerKind)
        inputs: Inputs = {"checkpoint": self.small.checkpoint}
        if kind.has_images:
            inputs["image_tokenizer"] = self.small.image_tokenizer
        if source is not None:
            inputs["benchmark"] = source
        settings = benchmark.generation(kind.generate.settings, self.generate)
        return make_job(
            self.small.results,
            "generate",
            f"tiny-step-00000-{name}",
            benchmark.scorer,
            settings,
            inputs,
            self.generate,
        )

    def _judging(
        self, name: str, kind: ScorerKind, scoring: Any, inputs: Inputs, config: EvaluateConfig
    ) -> Job[Any, Any]:
        assert kind.judging is not None
        read = {"answers": inputs[f"answers:{name}"]}
        read |= {"benchmark": inputs[f"benchmark:{name}"]} if f"benchmark:{name}" in inputs else {}
        execution = config.narrowed(kind.judging.execution, batch_size=self.generate.batch_size)
        called, settings = f"tiny-step-00000-{name}-judging", scoring.narrowed(kind.judging.settings)
        of = f"judging/{scoring.scorer}"
        return make_job(self.small.results, "evaluate", called, of, settings, read, execution)

    def answer(self) -> None:
        """Let the checkpoint answer, and judges read what they read before the scores."""
        self.group.make()
        for judging in self.judgings.values():
            judging.make()

    def make(self) -> Job[Any, Any]:
        """Let the checkpoint answer, and score; returns the job of the scores."""
        self.answer()
        self.scores.make()
        return self.scores

    def ceiling(
        self, name: str, *, called: str | None = None, judges: dict[str, JudgeSettings] | None = None
    ) -> Job[Any, Any]:
        """The job of a benchmark's ceiling."""
        scoring = self.scoring[name]
        kind = find_kind("scorer", scoring.scorer, ScorerKind)
        assert kind.ceiling is not None
        settings = scoring.narrowed(kind.ceiling.settings, benchmark=name, bootstrap_samples=200)
        inputs: Inputs = {
            "benchmark": str(self.scores.recipe.inputs[f"benchmark:{name}"]),
            "image_tokenizer": self.small.image_tokenizer,
        }
        execution = self.generate.narrowed(kind.ceiling.execution, judges=judges or {})
        called = called or f"ceiling-{name}"
        return make_job(
            self.small.results, "evaluate", called, f"ceiling/{scoring.scorer}", settings, inputs, execution
        )

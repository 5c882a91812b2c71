"""A small made-up experiment on disk: recipes, manifests and tables in the layout of `unix_lib/README.md`."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from tests.figures import own_data
from unix_lib.artefacts.files import canonical_json, write_json
from unix_lib.artefacts.manifest import MANIFEST, write_manifest
from unix_lib.artefacts.recipe import RECIPE, Recipe, write_recipe
from unix_lib.config.figures import DrawnFigure
from unix_lib.config.jobs import Execution
from unix_lib.evaluate.answers import why_wrong
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.kinds import KINDS
from unix_lib.jobs.job import Job
from unix_lib.jobs.job_kinds import job_kind

ARCHITECTURES = {"shared": "shared", "unix": "unix 2:1", "mot": "mot", "moe": "moe 1/2"}
LAYERS = 6
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SWEEP = {"shared": "shared", "unix": "unix 9:5", "late": "unix 10:4", "mot": "mot"}
TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
CHANCES = {"geneval": 0.0, "pope": 0.5, "mmbench": 0.25, "cloze": 0.25}
FAMILIES = {"geneval": "generation", "pope": "understanding", "mmbench": "understanding", "cloze": "text"}
OPTIONS = {"pope": ("yes", "no"), "mmbench": tuple("ABCD"), "cloze": ("if", "for", "while", "with")}
BLIND = ("first", "last", "unreadable", "guess")  # ways to answer without having learned anything
BENCHMARKS = {
    name: {"family": family, "local": True, "by_task": name == "geneval", "protocol": "made up", "judge": None}
    for name, family in FAMILIES.items()
}


class SyntheticExperiment:
    """Writes artefacts; `inputs` collects them by role.

    Architectures by the name of their runs; `skill`, `conflict` and `speed` are by run, `bits` of entropy by source. A
    run in `blind` answers in one of the ways of `BLIND`. With `noise` gradients and entropies are nothing else. Where
    runs have `mixtures`, each is of prose and of the images of the source that is called like it.
    """

    def __init__(
        self,
        results: Path,
        *,
        seeds: tuple[int, ...] = (218,),
        steps: tuple[int, ...] = (0, 200, 400),
        skill: dict[str, float] | None = None,
        conflict: dict[str, float] | None = None,
        bits: dict[str, float] | None = None,
        prompts: int = 24,
        architectures: dict[str, str] | None = None,
        blind: dict[str, str] | None = None,
        speed: dict[str, float] | None = None,
        gpus: int = 0,
        noise: bool = False,
        mixtures: dict[str, str] | None = None,
        better: dict[str, float] | None = None,
    ) -> None:
        self.results, self.gpus, self.noise = results, gpus, noise
        self.packs = {name: self._pack(name) for name in (mixtures or {}).values()}
        self.blind, self.speed = blind or {}, speed or {}
        self.inputs: dict[str, list[str]] = {
            role: [] for role in ("evaluations", "ceilings", "images", "checkpoints", "conflict", "entropy")
        }
        architectures = architectures or ARCHITECTURES
        for name, tables in (
            ("reconstructions", own_data.reconstructions()),
            ("power_spectrum", own_data.power_spectrum()),
            ("text_cost", own_data.text_cost()),
            ("heldout_loss", own_data.heldout_loss(architectures, seeds[0])),
            ("caption_samples", own_data.caption_samples(architectures, seeds[0])),
        ):
            self.inputs[name] = [self.add(Recipe("analyze", name, name, 1, {}), tables)]
        (losses,) = own_data.document_losses(architectures, seeds, better).values()
        self.inputs["document_losses"] = [
            self.add(
                Recipe("analyze", f"document_losses-{run}", "document_losses", 1, {"run": run}),
                {"document_losses.parquet": of_run},
            )
            for run, of_run in losses.groupby("run")
        ]
        skill = skill or {"shared": 0.3, "unix": 0.5, "mot": 0.4, "moe": 0.35}
        for preset, architecture in architectures.items():
            for seed in seeds:
                run = preset if len(seeds) == 1 else f"{preset}-seed{seed}"
                for step in steps:
                    learned = skill.get(preset, 0.0) * step / max(steps)
                    how = self.blind.get(preset, "")
                    self._evaluation(run, architecture, seed=seed, step=step, learned=learned, how=how, prompts=prompts)
                    if step:
                        level = (conflict or {}).get(preset, 0.1)
                        self._conflict(run, architecture, seed=seed, step=step, level=level)
                mixture = (mixtures or {}).get(preset)
                self._checkpoint(
                    run, architecture, seed, max(steps), speed=self.speed.get(preset, 9000.0), mixture=mixture
                )
        self._checkpoint("base", "shared", seeds[0], max(steps), image=False)
        self._ceiling()
        self._entropy({"prose": 6.0, "shapes": 5.0, "digits": 4.0} | (bits or {}), seeds[0])

    def roles(self, figure: str) -> dict[str, list[str]]:
        """What the plan of this experiment would give to a figure."""
        kind = KINDS[figure]
        return {role: self.inputs[role] for role in (*kind.reads, *kind.also_reads)}

    def read_by(self, figure: str) -> Inputs:
        """The figure's inputs, all there."""
        return Inputs(self.results, self.roles(figure))

    def figure_recipe(self, figure: str, scale: str) -> Recipe:
        """The recipe of a figure on all that this experiment has."""
        settings, version = drawn_figure(figure, scale).semantic(), job_kind("figures", figure).logic_version
        return Recipe("figures", figure, figure, version, settings, {**self.roles(figure)})

    def add(
        self, recipe: Recipe, tables: dict[str, pd.DataFrame], *, other_files: Sequence[str] = (), **manifest: Any
    ) -> str:
        write_recipe(recipe, self.results)
        folder = self.results / recipe.artefact
        for name, table in tables.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            table.to_parquet(folder / name)
        write_json(folder / RECIPE, recipe.as_json())
        rows = {name: len(table) for name, table in tables.items()}
        write_manifest(folder, recipe.digest, {**rows, **dict.fromkeys((*other_files, RECIPE))}, **manifest)
        return recipe.artefact

    def _evaluation(
        self, run: str, architecture: str, *, seed: int, step: int, learned: float, how: str, prompts: int
    ) -> None:
        rng = np.random.default_rng([seed, step, sum(run.encode())])
        origin = {"run": run, "step": step, "tokens": step * 2000, "architecture": architecture, "seed": seed}
        scores, tables = [], {}
        inputs: dict[str, str | list[str]] = {}
        for name, chance in CHANCES.items():
            tasks = [TASKS[i % 6] for i in range(prompts)] if name == "geneval" else ["all"] * prompts
            rate = chance + (1 - chance) * learned
            given = (
                drawn_images(how, rate, prompts, rng) if name == "geneval" else answered(name, how, rate, prompts, rng)
            )
            values = given.value.to_numpy()
            tables[f"samples/{name}.parquet"] = given.drop(columns="shuffled_value", errors="ignore").assign(
                sample_id=[f"{i:05d}-0" for i in range(prompts)],
                task=tasks,
                prompt=[f"a photo of thing {i} left of a blue square" for i in range(prompts)],
            )
            error = float(values.std() / prompts**0.5)
            value = float(values.mean())
            metric = "overall" if name == "geneval" else "accuracy"
            interval = {"value": value, "standard_error": error, "low": value - 2 * error, "high": value + 2 * error}
            scores.append(origin | {"benchmark": name, "metric": metric} | interval | {"n": prompts, "chance": chance})
            control = interval | {"value": chance, "n": prompts, "chance": None}
            scores.append(origin | {"benchmark": name, "metric": "overall_shuffled"} | control)
            if name == "geneval":
                drawn = pd.DataFrame(
                    {
                        "prompt_index": range(prompts),
                        "sample_index": 0,
                        "prompt": tables[f"samples/{name}.parquet"].prompt,
                    }
                )
                images = drawn.assign(seed=range(prompts), image=[picture(rng) for _ in range(prompts)])
                answers = Recipe("generate", f"{run}-step-{step:05d}-{name}", "geneval", 1, {"run": run, "step": step})
                inputs[f"answers:{name}"] = self.add(answers, {"images.parquet": images}, facts=origin)
                self.inputs["images"].append(answers.artefact)
                tables["verdicts.parquet"] = drawn.assign(
                    benchmark=name,
                    task=tasks,
                    value=values,
                    shuffled_value=given.shuffled_value,
                    reason=np.where(values == 1, "", "expected circle>=1, found 0"),
                )
        tables["scores.parquet"] = pd.DataFrame(scores).assign(protocol="made up", judge=None)
        recipe = Recipe("evaluate", f"{run}-step-{step:05d}-all", "scores", 1, {"run": run, "step": step}, inputs)
        facts = {"run": run, "step": step, "benchmarks": BENCHMARKS}
        self.inputs["evaluations"].append(self.add(recipe, tables, facts=facts))

    def _conflict(self, run: str, architecture: str, *, seed: int, step: int, level: float) -> None:
        preset = architecture.split(maxsplit=1)[0]
        rng = np.random.default_rng([seed, step, sum(run.encode()), 1])
        origin = {"run": run, "step": step, "tokens": step * 2000, "architecture": architecture, "seed": seed}
        separate = {"shared": (), "unix": (0, 1, 5), "mot": range(LAYERS), "moe": ()}[preset]
        rows: list[dict[str, Any]] = []
        measured = ["split", "s_inter", "s_base", "conflict", "s_text", "s_image"]
        for layer in range(LAYERS):
            for projection in PROJECTIONS:
                expert = preset == "moe" and layer % 2 == 1 and projection in PROJECTIONS[4:]
                known = origin | {"layer": layer, "projection": projection}
                if layer in separate or expert:
                    rows.append(known | {"shared": False} | dict.fromkeys(measured))
                    continue
                for split in range(10):
                    value = level + 0.03 * (layer - 2.5) ** 2 + rng.normal(0, 0.02)
                    # Half of each gradient is noise, so the corrected conflict is twice the paper's.
                    cosines = {"s_inter": 0.5 - value, "s_base": 0.5, "s_text": 0.4, "s_image": 0.625}
                    if self.noise:
                        cosines = {name: rng.normal(0, 0.05) for name in cosines}
                        value = cosines["s_base"] - cosines["s_inter"]
                    rows.append(known | {"shared": True, "split": split, "conflict": value} | cosines)
        table = pd.DataFrame(rows).astype(dict.fromkeys(measured, float))
        recipe = Recipe("analyze", f"conflict-{run}-step-{step:05d}", "conflict", 1, {"run": run, "step": step})
        facts = {"documents_per_modality": 64}
        self.inputs["conflict"].append(self.add(recipe, {"conflict.parquet": table}, facts=facts))

    def _checkpoint(
        self,
        run: str,
        architecture: str,
        seed: int,
        step: int,
        *,
        image: bool = True,
        speed: float = 9000.0,
        mixture: str | None = None,
    ) -> None:
        rng = np.random.default_rng([seed, sum(run.encode()), 2])
        steps = np.arange(1, step + 1)
        decay = 6 * np.exp(-steps / 80) + 2
        log = pd.DataFrame({"step": steps, "tokens": steps * 2000})
        for modality, shift in (("text", 0.0), ("image", 1.0)):
            log[f"loss_{modality}"] = decay + shift + rng.normal(0, 0.15, step) if modality == "text" or image else None
            log[f"tokens_{modality}"] = 900 if modality == "text" or image else 0
        speed = pd.DataFrame(
            {"step": steps, "tokens_per_second": rng.normal(speed, 300, step), "peak_memory_mb": 700.0}
        )
        tables = {"log.parquet": log, "heldout.parquet": log[log.step % 100 == 0], "speed.parquet": speed}
        facts = {
            "run": run,
            "step": step,
            "tokens": step * 2000,
            "architecture": architecture,
            "seed": seed,
            "parameters_text": 1_300_000,
            "parameters_vision": 1_300_000,
            "parameters_total": 2_000_000,
        }
        about = {"run": run, "step": step} | ({} if mixture is None else {"mixture": mixture})
        packs: dict[str, str | list[str]] = {} if mixture is None else {"pack": self.packs[mixture]}
        recipe = Recipe("train", f"{run}-step-{step:05d}", "checkpoint", 1, about, packs)
        self.inputs["checkpoints"].append(
            self.add(recipe, tables, facts=facts, execution={"job": {"gpus": self.gpus}}, wall_seconds=61.0)
        )

    def _pack(self, mixture: str) -> str:
        sources: dict[str, str | list[str]] = {"tokens:prose": [], "tokens:" + mixture: [], "codes:" + mixture: []}
        return self.add(Recipe("pack", mixture, "packs", 1, {}, sources), {})

    def _ceiling(self) -> None:
        row = {
            "run": "",
            "step": -1,
            "tokens": -1,
            "architecture": "",
            "seed": -1,
            "benchmark": "geneval",
            "chance": None,
        }
        table = pd.DataFrame(
            [
                row
                | {"metric": metric, "value": value, "standard_error": 0.01, "low": value - 0.02, "high": 1.0, "n": 400}
                for metric, value in (("detector_accuracy", 0.995), ("overall_ceiling", 0.9))
            ]
        )
        recipe = Recipe("evaluate", "ceiling-geneval", "ceiling/geneval", 1, {"benchmark": "geneval"})
        self.inputs["ceilings"].append(self.add(recipe, {"scores.parquet": table}))

    def _entropy(self, bits: dict[str, float], seed: int) -> None:
        rows = []
        rng = np.random.default_rng([seed, 3])
        for source, of_source in bits.items():
            modality = "text" if source == "prose" else "image"
            for tokens in (1000, 10_000, 100_000):
                for n in range(1, 6):
                    value = 6.0 / n + rng.normal(0, 0.03) if self.noise else of_source / n
                    at_budget = tokens == 100_000
                    rows.append(
                        {
                            "source": source,
                            "modality": modality,
                            "n": n,
                            "tokens": tokens,
                            "sequences": tokens // 64,
                            "plug_in": value * (1 - 100 / tokens) - 0.1 * n * (100_000 / tokens) ** 0.2,
                            "corrected": value,
                            "plug_in_standard_error": 0.02 if at_budget else None,
                            "corrected_standard_error": 0.03 if at_budget else None,
                            "coverage": 1.0 - 0.05 * n,
                            "budget": at_budget,
                        }
                    )
        recipe = Recipe("analyze", "entropy", "entropy", 1, {})
        self.inputs["entropy"].append(self.add(recipe, {"entropy.parquet": pd.DataFrame(rows)}))


def answered(benchmark: str, how: str, rate: float, prompts: int, rng: np.random.Generator) -> pd.DataFrame:
    """Answers to questions, as samples: right at a rate, or in one of the ways of `BLIND`."""
    options = OPTIONS[benchmark]
    places = np.arange(prompts) % len(options)
    given = {
        "first": np.zeros(prompts, dtype=int),
        "last": np.full(prompts, len(options) - 1),
        "unreadable": np.full(prompts, -1),
        "guess": rng.integers(0, len(options), prompts),
    }.get(how, np.where(rng.random(prompts) < rate, places, (places + 1) % len(options)))
    readings = [None if place < 0 else options[place] for place in given]
    expected = [options[place] for place in places]
    return pd.DataFrame(
        {
            "prediction": [reading or "..." for reading in readings],
            "answer": expected,
            "value": (given == places).astype(float),
            "reason": [why_wrong(reading, answer) for reading, answer in zip(readings, expected, strict=True)],
        }
    )


def drawn_images(how: str, rate: float, prompts: int, rng: np.random.Generator) -> pd.DataFrame:
    """Images as samples, with their worth for another prompt."""
    places = np.arange(prompts)
    value, shuffled = {
        "first": (places % 5 == 0, places % 5 == 1),  # the same image for all, which is what a fifth of the prompts ask
        "last": (places % 3 == 0, places % 3 == 1),
        "unreadable": (places < 0, places < 0),
        "guess": (rng.random(prompts) < 0.2, rng.random(prompts) < 0.2),
    }.get(how, (rng.random(prompts) < rate, places < 0))
    seen = {"unreadable": "", "first": "a circle", "last": "a square"}.get(how)
    return pd.DataFrame(
        {
            "prediction": [f"thing {i}" if seen is None else seen for i in range(prompts)],
            "answer": [asked(i) for i in range(prompts)],
            "value": value.astype(float),
            "reason": np.where(value, "", "expected circle>=1, found 0"),
            "shuffled_value": shuffled.astype(float),
        }
    )


def drawn_figure(figure: str, scale: str) -> DrawnFigure:
    """Settings of a figure without keys of its own."""
    return DrawnFigure.model_validate({"figure": figure, "scale": scale})


def planned_job(recipe: Recipe, results: Path) -> Job[Any, Any]:
    """A job as a script gets it: its recipe written, and read again."""
    write_recipe(recipe, results)
    execution = results / "execution.json"
    write_json(execution, Execution().model_dump(mode="json"))
    return Job.from_files(recipe.path(results), execution, results / recipe.artefact / MANIFEST)


def asked(prompt: int) -> str:
    """What a GenEval prompt's metadata ask for."""
    return canonical_json({"include": [{"class": f"thing {prompt}", "count": 1}]})


def picture(rng: np.random.Generator) -> bytes:
    """A 32-pixel PNG with a coloured block."""
    pixels = np.full((32, 32, 3), 240, dtype=np.uint8)
    x, y = rng.integers(2, 18, 2)
    pixels[y : y + 10, x : x + 10] = rng.integers(0, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()

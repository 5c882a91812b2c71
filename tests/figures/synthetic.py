"""A small made-up experiment on disk: recipes, manifests and tables in the layout of `unix_lib/README.md`."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from unix_lib.artefacts.files import canonical_json, write_json
from unix_lib.artefacts.manifest import MANIFEST, write_manifest
from unix_lib.artefacts.recipe import RECIPE, Recipe, write_recipe
from unix_lib.config.figures import DrawnFigure
from unix_lib.config.jobs import Execution
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.kinds import KINDS
from unix_lib.jobs.job import Job
from unix_lib.jobs.job_kinds import job_kind

ARCHITECTURES = {"shared": "shared", "unix": "unix 2:1", "mot": "mot", "moe": "moe 1/2"}
LAYERS = 6
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
CHANCES = {"geneval": 0.0, "pope": 0.5, "mmbench": 0.25, "cloze": 0.25}
FAMILIES = {"geneval": "generation", "pope": "understanding", "mmbench": "understanding", "cloze": "text"}
BENCHMARKS = {
    name: {"family": family, "local": True, "by_task": name == "geneval", "protocol": "made up", "judge": None}
    for name, family in FAMILIES.items()
}


class SyntheticExperiment:
    """Writes artefacts; `inputs` collects them by role."""

    def __init__(
        self,
        results: Path,
        *,
        seeds: tuple[int, ...] = (218,),
        steps: tuple[int, ...] = (0, 200, 400),
        skill: dict[str, float] | None = None,
        conflict: dict[str, float] | None = None,
        image_bits: float = 5.0,
        prompts: int = 24,
    ) -> None:
        self.results = results
        self.inputs: dict[str, list[str]] = {
            role: [] for role in ("evaluations", "ceilings", "images", "checkpoints", "conflict", "entropy")
        }
        skill = skill or {"shared": 0.3, "unix": 0.5, "mot": 0.4, "moe": 0.35}
        for preset, architecture in ARCHITECTURES.items():
            for seed in seeds:
                run = preset if len(seeds) == 1 else f"{preset}-seed{seed}"
                for step in steps:
                    learned = skill[preset] * step / max(steps)
                    self._evaluation(run, architecture, seed=seed, step=step, learned=learned, prompts=prompts)
                    if step:
                        level = (conflict or {}).get(preset, 0.1)
                        self._conflict(run, architecture, seed=seed, step=step, level=level)
                self._checkpoint(run, architecture, seed, max(steps))
        self._checkpoint("base", "shared", seeds[0], max(steps), image=False)
        self._ceiling()
        self._entropy(image_bits)

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

    def _evaluation(self, run: str, architecture: str, *, seed: int, step: int, learned: float, prompts: int) -> None:
        rng = np.random.default_rng([seed, step, sum(run.encode())])
        origin = {"run": run, "step": step, "tokens": step * 2000, "architecture": architecture, "seed": seed}
        scores, tables = [], {}
        inputs: dict[str, str | list[str]] = {}
        for name, chance in CHANCES.items():
            rate = chance + (1 - chance) * learned
            values = (rng.random(prompts) < rate).astype(float)
            tasks = [TASKS[i % 6] for i in range(prompts)] if name == "geneval" else ["all"] * prompts
            tables[f"samples/{name}.parquet"] = pd.DataFrame(
                {
                    "sample_id": [f"{i:05d}" for i in range(prompts)],
                    "task": tasks,
                    "prompt": [f"a photo of thing {i} left of a blue square" for i in range(prompts)],
                    "prediction": "yes",
                    "answer": [asked(i) for i in range(prompts)],
                    "value": values,
                    "reason": "",
                }
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
                    shuffled_value=0.0,
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
                    rows.append(known | {"shared": True, "split": split, "conflict": value} | cosines)
        table = pd.DataFrame(rows).astype(dict.fromkeys(measured, float))
        recipe = Recipe("analyze", f"conflict-{run}-step-{step:05d}", "conflict", 1, {"run": run, "step": step})
        facts = {"documents_per_modality": 64}
        self.inputs["conflict"].append(self.add(recipe, {"conflict.parquet": table}, facts=facts))

    def _checkpoint(self, run: str, architecture: str, seed: int, step: int, image: bool = True) -> None:
        rng = np.random.default_rng([seed, sum(run.encode()), 2])
        steps = np.arange(1, step + 1)
        decay = 6 * np.exp(-steps / 80) + 2
        log = pd.DataFrame({"step": steps, "tokens": steps * 2000})
        for modality, shift in (("text", 0.0), ("image", 1.0)):
            log[f"loss_{modality}"] = decay + shift + rng.normal(0, 0.15, step) if modality == "text" or image else None
            log[f"tokens_{modality}"] = 900 if modality == "text" or image else 0
        speed = pd.DataFrame({"step": steps, "tokens_per_second": rng.normal(9000, 300, step), "peak_memory_mb": 700.0})
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
        recipe = Recipe("train", f"{run}-step-{step:05d}", "checkpoint", 1, {"run": run, "step": step})
        self.inputs["checkpoints"].append(
            self.add(recipe, tables, facts=facts, execution={"job": {"gpus": 0}}, wall_seconds=61.0)
        )

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

    def _entropy(self, image_bits: float) -> None:
        rows = []
        for source, modality, bits in (
            ("prose", "text", 6.0),
            ("shapes", "image", image_bits),
            ("digits", "image", 4.0),
        ):
            for tokens in (1000, 10_000, 100_000):
                for n in range(1, 6):
                    value = bits / n
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

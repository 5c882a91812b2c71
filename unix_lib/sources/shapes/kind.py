"""The kind of source `shapes`: synthetic scenes of 1-3 objects with ground truth."""

from typing import Literal

from pydantic import model_validator

from unix_lib.config.kinds import JobKind
from unix_lib.config.outside import Outside
from unix_lib.config.sources import SourceKind, SourceSettings
from unix_lib.config.strict import StrictModel, key


class ShapesScenes(StrictModel):
    """What decides which scenes there are, and so the pixels."""

    image_size: int = key("side of an image, pixels", 32, ge=16, le=4096)
    train_scenes: int = key("scenes in the training split", 4000, ge=1, le=1_000_000_000)
    heldout_scenes: int = key(
        "scenes in the held-out split; each shows a combination never trained", 300, ge=1, le=1_000_000_000
    )
    placement: Literal["cells", "free"] = key("cells: 2x2 cells with jitter; free: anywhere, not overlapping", "cells")
    jitter: int = key("largest shift of an object from its cell's centre, pixels (placement: cells)", 1, ge=0, le=4096)
    colors: list[str] = key("colours in use, out of GenEval's", ["red", "green", "blue", "yellow"], min_length=2)
    shapes: list[str] = key("shapes in use", ["circle", "square", "triangle"], min_length=2)
    texture: float = key(
        "share of a picture, objects included, that dead leaves cover, as in natural images; 0 draws it flat",
        0.0,
        sparse=True,
        ge=0,
        le=1,
    )
    heldout_share: float = key("share of the combinations of each kind that is never trained", 0.15, gt=0, lt=0.5)
    seed: int = key("seed of the scenes and of the held-out combinations", 218, ge=0, lt=2**64)

    def work(self) -> float:
        """Scenes."""
        return self.train_scenes + self.heldout_scenes


class ShapesRecords(ShapesScenes):
    """What decides captions and conversations."""

    questions_per_scene: int = key("question-answer turns in a scene's conversation record", 2, ge=0, le=1000)
    conversation_share: float = key("share of the scenes that come as a conversation record too", 0.5, ge=0, le=1)


class ShapesBenchmarks(ShapesScenes):
    """What decides the benchmarks."""

    prompts_per_task: int = key("held-out GenEval-style prompts per task", 16, ge=1, le=1_000_000)
    questions_per_benchmark: int = key("held-out questions per question benchmark", 100, ge=10, le=1_000_000)
    dpg_prompts: int = key("held-out prompts in DPG-Bench's layout; 0 makes none", 0, sparse=True, ge=0, le=1_000_000)

    def work(self) -> float:
        """Questions of a benchmark."""
        return self.questions_per_benchmark


class ShapesSource(ShapesRecords, ShapesBenchmarks, SourceSettings):
    """Synthetic scenes with ground truth: 1-3 objects with colour, shape, size and position."""

    kind: Literal["shapes"]

    @model_validator(mode="after")
    def _can_be_drawn(self) -> "ShapesSource":
        from unix_lib.sources.shapes.drawing import undrawable

        if fault := undrawable(self):
            raise ValueError(fault)
        return self

    def sampled(self, count: int, outside: Outside) -> "list[ShapesSource]":
        scenes = {name: min(getattr(self, name), count) for name in ("train_scenes", "heldout_scenes")}
        return [self.model_copy(update=scenes)]

    def benchmarks(self) -> tuple[str, ...]:
        return ("geneval", "pope", "mme", "mmbench", *["dpg"] * bool(self.dpg_prompts))

    def described(self) -> str:
        texture = f", {self.texture:.0%} of them texture" if self.texture else ""
        return f"synthetic {self.image_size}-pixel scenes{texture}"


KIND = SourceKind(
    settings=ShapesSource,
    images=JobKind(ShapesScenes, "unix_lib.sources.shapes.make:make_images", 1),
    records=JobKind(ShapesRecords, "unix_lib.sources.shapes.make:make_records", 3),
    benchmarks=JobKind(ShapesBenchmarks, "unix_lib.sources.shapes.make:make_benchmarks", 1),
)

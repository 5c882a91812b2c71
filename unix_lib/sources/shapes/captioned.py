"""Draws the scenes of a split with their captions; scene i depends on the seed and on i only."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from unix_lib.records.shards import Split
from unix_lib.sources.shapes.captions import Claim, choose_caption
from unix_lib.sources.shapes.combinations import TASKS, Combination, HeldOut
from unix_lib.sources.shapes.drawing import all_of, draw_held_out, draw_trained, textured
from unix_lib.sources.shapes.kind import ShapesScenes
from unix_lib.sources.shapes.scenes import Scene


@dataclass(frozen=True)
class CaptionedScene:
    """A scene of a split."""

    sample_id: str
    scene: Scene
    caption: Claim
    combination: Combination | None  # the held-out one that it shows
    rng: random.Random  # the scene's own, which has drawn the scene, then the caption

    def as_json(self) -> dict[str, Any]:
        return {
            "sample_id": self.sample_id,
            "task": self.caption.task,
            "caption": self.caption.prompt,
            "combination": self.combination,
        } | self.scene.as_json()


def captioned_scenes(split: Split, space: ShapesScenes, held_out: HeldOut) -> Iterator[CaptionedScene]:
    """The scenes of a split, tasks in turn.

    Raises:
        SourceError: a scene that can't be drawn, or nearly all are held out.
    """
    everything = all_of(held_out)
    for index in range(space.train_scenes if split == "train" else space.heldout_scenes):
        rng = random.Random(f"{space.seed}/{split}/{index}")
        task = TASKS[index % len(TASKS)]
        combination = None
        if split == "heldout":
            combination = held_out[task][index // len(TASKS) % len(held_out[task])]
            scene = draw_held_out(space, combination, everything, rng)
        else:
            scene = draw_trained(space, task, everything, rng)
        caption = choose_caption(scene, task, rng, combination)
        scene = textured(space, scene, split, index)
        yield CaptionedScene(f"{split}-{index:06d}", scene, caption, combination, rng)

"""Renders scenes: objects with colour, shape, size and position become an RGB image, flat or textured.

A pixel belongs to an object when its centre does, without anti-aliasing: every pixel of a flat scene then has one of a
few exact colours, which keeps colours apart for an image tokenizer with one code per 4x4 pixels and for whoever reads
the image from pixels.

Coordinates are pixels from the top left corner; pixel i covers [i, i + 1).
"""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unix_lib.sources.shapes.palette import BACKGROUND, COLORS
from unix_lib.sources.shapes.textures import Texture, textured

SHAPES = ("circle", "square", "triangle", "cross")
SIZES = ("small", "large")
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

# GenEval's position test: share of both sizes taken off an offset, and what must remain of it.
POSITION_THRESHOLD = 0.1
RELATION_THRESHOLD = 0.5


@dataclass(frozen=True)
class SceneObject:
    """One object; its bounding box is the square of side 2 `radius` around its centre."""

    color: str
    shape: str
    size: str  # small | large
    x: float  # centre, pixels
    y: float
    radius: float
    cell: int | None = None  # 0..3, row by row (placement: cells)


@dataclass(frozen=True)
class Scene:
    """Objects that don't overlap."""

    objects: tuple[SceneObject, ...]
    texture: Texture | None = None  # None is flat

    def of_shape(self, shape: str) -> list[SceneObject]:
        return [thing for thing in self.objects if thing.shape == shape]

    def counts(self) -> Counter[tuple[str, str]]:
        """(colour, shape) -> objects."""
        return Counter((thing.color, thing.shape) for thing in self.objects)

    def as_json(self) -> dict[str, Any]:
        texture = {} if self.texture is None else {"texture": asdict(self.texture)}
        return {"objects": [asdict(thing) for thing in self.objects]} | texture

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Scene":
        texture = Texture(**values["texture"]) if "texture" in values else None
        return cls(tuple(SceneObject(**thing) for thing in values["objects"]), texture)


def radius_of(size: str, image_size: int) -> int:
    """Radius in pixels: in a cell of 16 px a large object measures 12 px, a small one 8 px."""
    cell = image_size / 2
    return round(cell * (0.375 if size == "large" else 0.25))


def covered(thing: SceneObject, image_size: int) -> np.ndarray:
    """bool (image_size, image_size): pixels whose centre lies inside the object."""
    centres = np.arange(image_size) + 0.5
    dx = np.abs(centres[None, :] - thing.x)
    dy = centres[:, None] - thing.y
    r = thing.radius
    if thing.shape == "circle":
        inside = dx**2 + dy**2 <= r**2
    elif thing.shape == "square":
        inside = np.maximum(dx, np.abs(dy)) <= r
    elif thing.shape == "triangle":  # apex up; half a pixel wider than exact, so that the apex shows
        inside = (dx <= (dy + r + 0.5) / 2) & (np.abs(dy) <= r)
    elif thing.shape == "cross":
        arm = max(1.0, r / 3)
        inside = (np.minimum(dx, np.abs(dy)) <= arm) & (np.maximum(dx, np.abs(dy)) <= r)
    else:
        raise ValueError(f"shape '{thing.shape}' is none of {', '.join(SHAPES)}")
    return np.asarray(inside)


def render_pixels(scene: Scene, image_size: int) -> np.ndarray:
    """uint8 (image_size, image_size, 3), RGB."""
    objects = np.full((image_size, image_size), -1)
    pixels = np.full((image_size, image_size, 3), BACKGROUND, dtype=np.uint8)
    for index, thing in enumerate(scene.objects):
        inside = covered(thing, image_size)
        objects[inside], pixels[inside] = index, COLORS[thing.color]
    return pixels if scene.texture is None else textured(pixels, objects, scene.texture)


def relations_between(a: SceneObject, b: SceneObject) -> set[str]:
    """GenEval's relations that hold of `a` relative to `b`; on a diagonal there are two, for touching centres none."""
    x, y = a.x - b.x, a.y - b.y
    length = math.hypot(x, y)
    if length == 0:
        return set()
    allowance = POSITION_THRESHOLD * 2 * (a.radius + b.radius)
    dx = math.copysign(max(abs(x) - allowance, 0), x) / length
    dy = math.copysign(max(abs(y) - allowance, 0), y) / length
    held = {
        "left of": dx < -RELATION_THRESHOLD,
        "right of": dx > RELATION_THRESHOLD,
        "above": dy < -RELATION_THRESHOLD,
        "below": dy > RELATION_THRESHOLD,
    }
    return {relation for relation, holds in held.items() if holds}

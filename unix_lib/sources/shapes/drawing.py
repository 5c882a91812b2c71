"""Draws scenes at random: of a task, with or without held-out combinations.

A scene shows what the task's captions speak of and nothing else. Rejection sampling keeps the rules simple: a scene is
drawn freely and kept when it contains what it must and nothing that it must not.
"""

import itertools
import random
from dataclasses import replace

from unix_lib.sources.errors import SourceError
from unix_lib.sources.shapes.combinations import COUNTS, Combination, HeldOut, combinations_in
from unix_lib.sources.shapes.kind import ShapesScenes
from unix_lib.sources.shapes.palette import BY_HUE, COLORS
from unix_lib.sources.shapes.scenes import SHAPES, SIZES, Scene, SceneObject, radius_of, relations_between
from unix_lib.sources.shapes.textures import Texture

ATTEMPTS = 2000
GAP = 2  # pixels between the boxes of two objects, so that they stay apart after 4x4-pixel coding


def undrawable(space: ShapesScenes) -> str | None:
    """Why scenes can't be drawn, beginning with the key that is wrong; None where they can."""
    colors, done = (BY_HUE, "told from texture") if space.texture else (tuple(COLORS), "drawn")
    for key, values, known, wanted in (
        ("colors", space.colors, colors, done),
        ("shapes", space.shapes, SHAPES, "drawn"),
    ):
        for value in values:
            if value not in known:
                return f"{key}: '{value}' can't be {wanted}; choose from {', '.join(known)}"
        if len(set(values)) < len(values):
            return f"{key}: {values} names a value twice; name each once"
    largest = (space.image_size // 2 - GAP) // 2 - radius_of("large", space.image_size)
    if space.placement == "cells" and space.jitter > largest:
        return (
            f"jitter: {space.jitter} px lets objects of neighbouring cells touch in an image of {space.image_size} px; "
            f"set it to at most {largest}"
        )
    return None


def draw_scene(
    space: ShapesScenes,
    task: str,
    rng: random.Random,
    *,
    combination: Combination | None = None,
    color: str | None = None,
) -> Scene:
    """A scene for a task's captions.

    Args:
        combination: one of the task; fixes the attributes that it names.
        color: fixes the first object's colour where no combination does.
    """
    if task in ("single_object", "colors", "counting"):
        size, color, shape = rng.choice(SIZES), color or rng.choice(space.colors), rng.choice(space.shapes)
        count = COUNTS[rng.choice(sorted(COUNTS))] if task == "counting" else 1
        if combination is not None:
            color, shape = combination[-2:]
            size = combination[1] if task == "single_object" else size
            count = COUNTS[combination[1]] if task == "counting" else count
        attributes = [(size, color, shape)] * count
    else:
        a, b = rng.sample(space.shapes, 2)
        sizes = [rng.choice(SIZES), rng.choice(SIZES)]
        colors = [color or rng.choice(space.colors), rng.choice(space.colors)]
        if combination is not None:
            a, b = (combination[1], combination[3]) if task == "position" else (combination[2], combination[4])
            sizes = [combination[1], combination[3]] if task == "two_object" else sizes
            colors = [combination[1], combination[3]] if task == "color_attr" else colors
        attributes = [(sizes[0], colors[0], a), (sizes[1], colors[1], b)]
    for _ in range(ATTEMPTS):
        scene = _place(space, attributes, rng)
        if task != "position":
            return scene
        # A position scene shows one relation, not a diagonal's two.
        held = relations_between(*scene.objects)
        if len(held) == 1 and (combination is None or held == {combination[2]}):
            return scene
    raise SourceError(f"shapes: no placement found for {attributes} in {space.image_size} px; enlarge image_size")


def _place(space: ShapesScenes, attributes: list[tuple[str, str, str]], rng: random.Random) -> Scene:
    objects: list[SceneObject] = []
    if space.placement == "cells":
        half = space.image_size // 2
        for (size, color, shape), cell in zip(attributes, rng.sample(range(4), len(attributes)), strict=True):
            x = cell % 2 * half + half // 2 + rng.randint(-space.jitter, space.jitter)
            y = cell // 2 * half + half // 2 + rng.randint(-space.jitter, space.jitter)
            objects.append(SceneObject(color, shape, size, x, y, radius_of(size, space.image_size), cell))
        return Scene(tuple(objects))
    for _ in range(ATTEMPTS):
        objects = []
        for size, color, shape in attributes:
            radius = radius_of(size, space.image_size)
            x, y = (rng.randint(radius + 1, space.image_size - radius - 1) for _ in range(2))
            objects.append(SceneObject(color, shape, size, x, y, radius))
        pairs = itertools.combinations(objects, 2)
        if all(max(abs(a.x - b.x), abs(a.y - b.y)) >= a.radius + b.radius + GAP for a, b in pairs):
            return Scene(tuple(objects))
    raise SourceError(f"shapes: {len(attributes)} objects don't fit into {space.image_size} px; enlarge image_size")


def draw_trained(space: ShapesScenes, task: str, held_out: set[Combination], rng: random.Random) -> Scene:
    """A scene that contains no held-out combination.

    The first colour is drawn once, before any rejection: a colour with many held-out combinations stays as frequent
    as the others.
    """
    color = rng.choice(space.colors)
    for _ in range(ATTEMPTS):
        scene = draw_scene(space, task, rng, color=color)
        if not combinations_in(scene) & held_out:
            return scene
    raise SourceError(f"shapes: nearly every scene of task '{task}' is held out; lower heldout_share")


def draw_held_out(
    space: ShapesScenes, combination: Combination, held_out: set[Combination], rng: random.Random
) -> Scene:
    """A scene that contains this held-out combination and, where that is possible, no other."""
    for _ in range(ATTEMPTS + 1):
        scene = draw_scene(space, combination[0], rng, combination=combination)
        if combinations_in(scene) & held_out == {combination}:
            break
    return scene


def textured(space: ShapesScenes, scene: Scene, *place: object) -> Scene:
    """The scene with its texture, whose seed is that of its place, so that all else is drawn as without one."""
    if not space.texture:
        return scene
    seed = random.Random("/".join(map(str, (space.seed, "texture", *place)))).getrandbits(64)
    return replace(scene, texture=Texture(space.texture, seed))


def all_of(held_out: HeldOut) -> set[Combination]:
    """Every task's held-out combinations in one set."""
    return {combination for combinations in held_out.values() for combination in combinations}

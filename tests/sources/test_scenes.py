"""Scenes as pixels, and relations as GenEval tests them."""

import itertools

import numpy as np
import pytest

from tests.sources.reading import relations
from unix_lib.sources.shapes.palette import BACKGROUND, COLORS, SMALLEST_DISTANCE
from unix_lib.sources.shapes.scenes import (
    RELATIONS,
    SHAPES,
    Scene,
    SceneObject,
    covered,
    radius_of,
    relations_between,
    render_pixels,
)


def one(shape="circle", size="large", *, color="red", x=8, y=8, image_size=32):
    return SceneObject(color, shape, size, x, y, radius_of(size, image_size))


def test_colors_and_background_are_far_apart():
    for (a, p), (b, q) in itertools.combinations([*COLORS.items(), ("background", BACKGROUND)], 2):
        assert np.linalg.norm(np.subtract(p, q)) >= SMALLEST_DISTANCE, (a, b)


def test_a_pixel_is_either_an_objects_color_or_background():
    scene = Scene((one(), one("triangle", color="blue", x=24), one("square", "small", color="yellow", y=24)))
    pixels = render_pixels(scene, 32)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert {tuple(p) for p in pixels.reshape(-1, 3)} == {BACKGROUND, *(COLORS[c] for c in ("red", "blue", "yellow"))}
    assert tuple(pixels[8, 8]) == COLORS["red"]
    assert tuple(pixels[24, 24]) == BACKGROUND


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "side"), [("large", 12), ("small", 8)])
def test_an_object_fills_its_box_and_no_more(shape, size, side):
    rows, columns = np.nonzero(covered(one(shape, size), 32))
    assert (rows.min(), rows.max()) == (8 - side // 2, 8 + side // 2 - 1)
    assert (columns.min(), columns.max()) == (8 - side // 2, 8 + side // 2 - 1)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("image_size", [32, 64, 256])
def test_shapes_cover_the_share_of_their_box_that_geometry_says(size, image_size):
    shares = {"circle": np.pi / 4, "square": 1, "triangle": 0.5, "cross": 5 / 9}
    for shape, share in shares.items():
        thing = one(shape, size, x=image_size / 4, y=image_size / 4, image_size=image_size)
        area = covered(thing, image_size).sum() / (2 * thing.radius) ** 2
        assert area == pytest.approx(share, abs=0.75 / thing.radius)


def test_shapes_of_one_size_differ_in_many_pixels():
    for size, least in (("small", 12), ("large", 24)):
        masks = [covered(one(shape, size), 32) for shape in SHAPES]
        for a, b in itertools.combinations(masks, 2):
            assert (a ^ b).sum() >= least


def test_a_triangle_points_up():
    mask = covered(one("triangle"), 32)
    widths = mask.sum(axis=1)[2:14]
    assert (np.diff(widths) >= 0).all() and widths[0] < widths[-1]


def test_relations_agree_with_the_rule_written_out():
    a = one(x=16, y=16)
    for x, y in itertools.product(range(0, 33, 2), repeat=2):
        b = one(size="small", x=x, y=y)
        if (x, y) != (16, 16):
            assert relations_between(a, b) == set(relations(a, b))


def test_relations_of_neighbours_and_diagonals():
    left, right, below = one(), one(x=24), one(x=24, y=24)
    assert relations_between(left, right) == {"left of"}
    assert relations_between(right, left) == {"right of"}
    assert relations_between(right, below) == {"above"}
    assert relations_between(below, left) == {"right of", "below"}
    assert relations_between(left, left) == set()
    assert set(RELATIONS) == {"left of", "right of", "above", "below"}


def test_a_scene_survives_json():
    scene = Scene((one(), one("cross", x=20.5)))
    assert Scene.from_json(scene.as_json()) == scene


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="'star' is none of circle"):
        covered(one("star"), 32)

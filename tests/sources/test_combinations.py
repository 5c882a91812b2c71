"""Which combinations are held out, and what training keeps."""

import itertools
from collections import Counter

import pytest

from unix_lib.sources.errors import SourceError
from unix_lib.sources.shapes.combinations import TASKS, choose_held_out, combinations_in
from unix_lib.sources.shapes.drawing import all_of
from unix_lib.sources.shapes.scenes import Scene, SceneObject

COLORS, SHAPES = ["red", "green", "blue", "yellow"], ["circle", "square", "triangle"]


def thing(color, shape, size="large", x=8, y=8):
    return SceneObject(color, shape, size, x, y, 6 if size == "large" else 4)


def test_a_scenes_combinations_whatever_its_caption():
    scene = Scene((thing("red", "square"), thing("blue", "circle", "small", x=24)))
    assert combinations_in(scene) == {
        ("two_object", "small", "circle", "large", "square"),
        ("color_attr", "blue", "circle", "red", "square"),
        ("position", "square", "left of", "circle"),
    }


def test_a_lone_object_is_a_combination_only_when_nothing_is_beside_it():
    assert combinations_in(Scene((thing("red", "square"),))) == {
        ("colors", "red", "square"),
        ("single_object", "large", "red", "square"),
    }
    assert combinations_in(Scene((thing("red", "square"), thing("red", "square", x=24)))) == {
        ("counting", "two", "red", "square")
    }


def test_a_count_is_a_combination_only_when_exact():
    three = Scene((thing("red", "circle"), thing("red", "circle", x=24), thing("red", "circle", y=24)))
    assert ("counting", "three", "red", "circle") in combinations_in(three)
    assert ("counting", "two", "red", "circle") not in combinations_in(three)
    assert not any(c[0] in ("position", "color_attr", "two_object") for c in combinations_in(three))


def test_a_diagonal_contains_both_relations():
    scene = Scene((thing("red", "circle"), thing("red", "square", x=24, y=24)))
    assert {c for c in combinations_in(scene) if c[0] == "position"} == {
        ("position", "circle", "left of", "square"),
        ("position", "circle", "above", "square"),
    }


@pytest.mark.parametrize("seed", range(20))
def test_the_share_is_held_out_and_every_value_stays_in_training(seed):
    held_out = choose_held_out(COLORS, SHAPES, 0.15, seed)
    assert list(held_out) == list(TASKS)
    assert len(held_out["colors"]) == 2  # 15% of 12
    assert len(held_out["position"]) == 2  # 15% of 12
    assert len(held_out["single_object"]) == 3  # 15% of 2 x 10
    assert len(held_out["counting"]) == 4  # 15% of 2 x 12
    assert len(held_out["two_object"]) == 2  # 15% of 12
    assert 1 <= len(held_out["color_attr"]) <= 7
    colored = set(held_out["colors"])
    for color in COLORS:
        assert sum(("colors", color, shape) not in colored for shape in SHAPES) >= 2
    for shape in SHAPES:
        assert sum(("colors", color, shape) not in colored for color in COLORS) >= 2
    for color, shape in itertools.product(COLORS, SHAPES):
        single = [("single_object", size, color, shape) for size in ("small", "large")]
        assert set(single) - set(held_out["single_object"])
        counting = [("counting", count, color, shape) for count in ("two", "three")]
        assert set(counting) - set(held_out["counting"])


def test_held_out_combinations_are_spread_over_the_colors():
    for seed in range(20):
        counts = Counter(
            part
            for task in ("single_object", "counting", "colors")
            for combination in choose_held_out(COLORS, SHAPES, 0.15, seed)[task]
            for part in combination[1:]
            if part in COLORS
        )
        assert max(counts.values()) - min(counts[color] for color in COLORS) <= 1


def test_a_lone_object_is_held_out_once():
    held_out = choose_held_out(COLORS, SHAPES, 0.3, 5)
    assert not {c[-2:] for c in held_out["single_object"]} & {c[1:] for c in held_out["colors"]}


def test_the_choice_follows_the_seed():
    assert choose_held_out(COLORS, SHAPES, 0.15, 1) == choose_held_out(COLORS, SHAPES, 0.15, 1)
    assert choose_held_out(COLORS, SHAPES, 0.15, 1) != choose_held_out(COLORS, SHAPES, 0.15, 2)


def test_the_smallest_space_still_holds_out_one_of_each():
    for seed in range(10):
        held_out = choose_held_out(["red", "blue"], ["circle", "square"], 0.1, seed)
        assert all(len(chosen) == 1 for chosen in held_out.values())
        assert len(all_of(held_out)) == 6


def test_a_space_without_pairs_is_refused():
    with pytest.raises(SourceError, match="give more colors or shapes"):
        choose_held_out(["red"], ["circle", "square"], 0.1, 1)

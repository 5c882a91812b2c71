"""Dead leaves: their share, their scales and their spectrum, and what of a scene they leave as it is."""

import random

import numpy as np
import pytest
from pydantic import ValidationError

from tests.sources.making import source_jobs
from unix_lib.images.files import image_id
from unix_lib.records.shards import read_split
from unix_lib.sources.shapes.captioned import captioned_scenes
from unix_lib.sources.shapes.combinations import TASKS, choose_held_out
from unix_lib.sources.shapes.drawing import draw_scene, textured
from unix_lib.sources.shapes.kind import ShapesRecords, ShapesScenes, ShapesSource
from unix_lib.sources.shapes.palette import BACKGROUND, BY_HUE, COLORS
from unix_lib.sources.shapes.scenes import SHAPES, Scene, covered, render_pixels
from unix_lib.sources.shapes.textures import SHADE, TINT, Texture, leaf_of

EVERYWHERE = np.ones((32, 32), dtype=bool)
FEW = {"train_scenes": 60, "heldout_scenes": 12}


def leaves(strength, seed=0, size=32):
    return leaf_of(np.ones((size, size), dtype=bool), strength, np.random.default_rng(seed)).reshape(size, size)


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("size", [32, 64])
def test_leaves_cover_the_share_that_was_asked_for(strength, size):
    share = np.mean([(leaves(strength, seed, size) >= 0).mean() for seed in range(80)])
    assert share == pytest.approx(strength, abs=0.08)


def test_no_leaf_falls_at_strength_0_and_nothing_stays_bare_at_1():
    assert (leaves(0.0) == -1).all()
    assert all((leaves(1.0, seed) >= 0).all() for seed in range(20))


def test_only_the_pixels_asked_for_are_covered():
    some = np.zeros((32, 32), dtype=bool)
    some[3:9, 4:7] = True
    assert leaf_of(some, 1.0, np.random.default_rng(0)).shape == (18,)


def test_leaves_have_all_sizes_with_many_small_ones():
    areas = np.concatenate([np.unique(leaves(1.0, seed), return_counts=True)[1] for seed in range(40)])
    assert np.mean(areas <= 8) > 0.5
    assert areas.max() > 200


def slope_of_spectrum(pictures):
    """Exponent of the mean power over frequency, between 2 and 12 cycles a picture."""
    window = np.hanning(32)[:, None] * np.hanning(32)
    power = np.mean([np.abs(np.fft.fft2((p - p.mean()) * window)) ** 2 for p in pictures], axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32, 1 / 32), np.fft.fftfreq(32, 1 / 32)))
    rings = range(2, 13)
    radial = [power[np.rint(frequency) == ring].mean() for ring in rings]
    return np.polyfit(np.log(rings), np.log(radial), 1)[0]


def test_power_falls_with_frequency_as_in_photographs():
    noise = np.random.default_rng(0)
    assert slope_of_spectrum([noise.normal(size=(32, 32)) for _ in range(40)]) == pytest.approx(0, abs=0.2)
    space = ShapesScenes(texture=1.0, colors=["red", "blue"])
    pictures = [render_pixels(textured(space, Scene(()), number), 32).mean(axis=-1) for number in range(60)]
    assert -3.0 < slope_of_spectrum(pictures) < -2.0


def scenes(texture, count=24):
    space = ShapesScenes(texture=texture, colors=list(BY_HUE), shapes=list(SHAPES))
    rng = random.Random(3)
    return [textured(space, draw_scene(space, TASKS[i % len(TASKS)], rng), i) for i in range(count)]


def test_leaves_are_nearly_grey_and_keep_the_hue_of_objects():
    for scene in scenes(1.0):
        pixels, background = render_pixels(scene, 32).astype(float), EVERYWHERE.copy()
        for thing in scene.objects:
            inside = covered(thing, 32)
            background &= ~inside
            light = pixels[inside] / np.maximum(COLORS[thing.color], 1)
            strongest = light[:, np.argmax(COLORS[thing.color])]
            assert strongest.min() >= SHADE[0] - 0.01 and strongest.max() <= SHADE[1]
            assert np.abs(pixels[inside] - strongest[:, None] * COLORS[thing.color]).max() <= 1.5
        leaf = pixels[background]
        assert (1 - leaf.min(axis=1) / leaf.max(axis=1)).max() <= TINT + 0.02


def test_a_share_of_the_picture_stays_plain():
    bare = [(render_pixels(scene, 32) == BACKGROUND).all(axis=-1).mean() for scene in scenes(0.5)]
    flat = [(render_pixels(scene, 32) == BACKGROUND).all(axis=-1).mean() for scene in scenes(0.0)]
    assert 0.3 < np.mean(bare) / np.mean(flat) < 0.7


def test_texture_changes_nothing_else_of_a_split():
    plain = ShapesRecords(train_scenes=120, heldout_scenes=12)
    held_out = choose_held_out(plain.colors, plain.shapes, plain.heldout_share, plain.seed)
    for split in ("train", "heldout"):
        both = [
            list(captioned_scenes(split, space, held_out))
            for space in (plain, plain.model_copy(update={"texture": 0.5}))
        ]
        for flat, other in zip(*both, strict=True):
            assert flat.scene.texture is None and other.scene.texture.strength == 0.5
            assert (flat.scene.objects, flat.caption) == (other.scene.objects, other.caption)
            assert flat.rng.random() == other.rng.random()
        assert len({other.scene.texture.seed for other in both[1]}) == len(both[1])


def test_a_seed_gives_the_same_picture_again():
    one, again, other = (Scene((), Texture(0.7, seed)) for seed in (1, 1, 2))
    assert (render_pixels(one, 32) == render_pixels(again, 32)).all()
    assert (render_pixels(one, 32) != render_pixels(other, 32)).any()


def test_a_textured_scene_survives_json_and_a_flat_one_says_nothing_of_texture():
    (scene, *_) = scenes(0.5)
    assert Scene.from_json(scene.as_json()) == scene
    assert "texture" not in Scene(scene.objects).as_json()


def test_a_flat_source_has_the_recipe_that_it_had():
    assert "texture" not in ShapesSource(kind="shapes").semantic()
    assert ShapesSource(kind="shapes", texture=0.5).semantic()["texture"] == 0.5


@pytest.mark.parametrize("color", ["white", "black", "brown"])
def test_colors_that_light_and_shade_make_of_others_are_refused(color):
    with pytest.raises(ValidationError, match=f"colors: '{color}' can't be told from texture; choose from red, orange"):
        ShapesSource(kind="shapes", texture=0.1, colors=["red", color])


def test_records_name_the_textured_images(tmp_path):
    jobs = source_jobs(tmp_path, "shapes", kind="shapes", texture=1.0, **FEW)
    for what in ("images", "records"):
        jobs[what].make()
    images = read_split(jobs["images"].folder, "train")
    records = read_split(jobs["records"].folder, "train", columns=["image_ids"])
    assert {names[0] for names in records["image_ids"].to_pylist()} == set(images["image_id"].to_pylist())
    assert images.num_rows == 60
    space = ShapesScenes(texture=1.0, **FEW)
    held_out = choose_held_out(space.colors, space.shapes, space.heldout_share, space.seed)
    first = next(captioned_scenes("train", space, held_out))
    assert image_id(render_pixels(first.scene, 32)) in set(images["image_id"].to_pylist())

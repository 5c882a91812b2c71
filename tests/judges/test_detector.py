"""The detector on rendered scenes of everything that can be drawn, on blurred and faded ones, and on garbage."""

import random

import numpy as np
import pytest
from scipy import ndimage

from unix_lib.evaluate.fitness import UnfitDetectorError, heldout_scenes, reads_scene, require_fit
from unix_lib.evaluate.geneval import relative_positions
from unix_lib.images.files import image_id
from unix_lib.judges.detector import Detector
from unix_lib.judges.judge import NoVerdict
from unix_lib.records.shards import iterate_rows
from unix_lib.sources.shapes.combinations import TASKS
from unix_lib.sources.shapes.drawing import draw_scene, textured
from unix_lib.sources.shapes.kind import ShapesScenes
from unix_lib.sources.shapes.palette import BACKGROUND, BY_HUE, COLORS
from unix_lib.sources.shapes.scenes import (
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
    radius_of,
    relations_between,
    render_pixels,
)


def scenes(placement="cells", image_size=32, count=120, seed=0, texture=0.0):
    colors = list(BY_HUE if texture else COLORS)
    space = ShapesScenes(
        colors=colors, shapes=list(SHAPES), image_size=image_size, placement=placement, texture=texture
    )
    rng = random.Random(seed)
    return [textured(space, draw_scene(space, TASKS[i % len(TASKS)], rng), i) for i in range(count)]


def share_read(drawn, image_size=32, change=lambda image: image, *, of_texture=False):
    detector = Detector.for_scenes(image_size, textured=of_texture)
    read = 0
    for scene in drawn:
        changed = change(render_pixels(scene, image_size).astype(np.float64))
        image = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
        read += reads_scene(detector.detect(image), scene, image_size)
    return read / len(drawn)


@pytest.mark.parametrize("color", COLORS)
def test_every_color_shape_and_size_is_read(color):
    detector = Detector.for_scenes(32)
    for shape in SHAPES:
        for size in SIZES:
            for x, y in ((8, 8), (25, 7), (16, 16)):
                scene = Scene((SceneObject(color, shape, size, x, y, radius_of(size, 32)),))
                (found,) = detector.detect(render_pixels(scene, 32))
                assert (found.color, found.name, found.size, found.centre) == (color, shape, size, (x, y))
                assert found.confidence > 0.9


@pytest.mark.parametrize(("placement", "image_size"), [("cells", 32), ("free", 32), ("cells", 64), ("cells", 24)])
def test_rendered_scenes_are_read_without_mistakes(placement, image_size):
    assert share_read(scenes(placement, image_size), image_size) >= 0.99


@pytest.mark.parametrize("texture", [0.001, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("placement", ["cells", "free"])
def test_textured_scenes_of_every_task_are_read_without_mistakes(placement, texture):
    assert share_read(scenes(placement, texture=texture), of_texture=True) >= 0.99


def test_textured_scenes_are_read_when_blurred():
    drawn = scenes(texture=1.0, count=90)
    assert (
        share_read(drawn, change=lambda image: ndimage.gaussian_filter(image, (0.7, 0.7, 0)), of_texture=True) >= 0.95
    )


def test_nothing_is_seen_in_texture_alone():
    space = ShapesScenes(texture=1.0, colors=["red", "blue"])
    empty = [textured(space, Scene(()), number) for number in range(30)]
    assert [Detector.for_scenes(32, textured=True).detect(render_pixels(scene, 32)) for scene in empty] == [[]] * 30


def test_a_detector_of_plain_scenes_is_not_up_to_textures():
    assert share_read(scenes(texture=0.5)) < 0.5


def test_blur_fading_and_noise_change_nothing():
    noise = np.random.default_rng(0)
    drawn = scenes(count=90)
    assert share_read(drawn, change=lambda image: ndimage.gaussian_filter(image, (0.7, 0.7, 0))) >= 0.99
    assert share_read(drawn, change=lambda image: 200 + 0.75 * (image - 200)) >= 0.99
    assert share_read(drawn, change=lambda image: image + noise.normal(0, 10, image.shape)) >= 0.99
    assert share_read(drawn, change=lambda image: ndimage.gaussian_filter(image, (1, 1, 0))) >= 0.95
    assert share_read(drawn, change=lambda image: image + np.array([6, -6, 4])) >= 0.99


@pytest.mark.parametrize("kind", ["white noise", "blocks", "black", "white", "background", "gradient", "stripes"])
def test_nothing_is_seen_in_garbage(kind):
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 255, 32)
    for _ in range(20):
        image = {
            "white noise": lambda: rng.integers(0, 256, (32, 32, 3)),
            "blocks": lambda: np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((4, 4, 1))),
            "black": lambda: np.zeros((32, 32, 3)),
            "white": lambda: np.full((32, 32, 3), 255),
            "background": lambda: np.full((32, 32, 3), BACKGROUND) + rng.normal(0, 4, (32, 32, 3)),
            "gradient": lambda: np.broadcast_to(ramp[None, :, None], (32, 32, 3)),
            "stripes": lambda: np.where((np.arange(32) % 8 < 3)[None, :, None], 20, 200) * np.ones((32, 1, 3)),
        }[kind]()
        assert Detector.for_scenes(32).detect(image.astype(np.uint8)) == []


def test_a_patchwork_of_colors_is_no_object():
    image = np.full((32, 32, 3), BACKGROUND, dtype=np.uint8)
    colors = [COLORS[name] for name in ("red", "blue", "green", "yellow")]
    for i in range(9):
        image[4 + 4 * (i // 3) : 8 + 4 * (i // 3), 4 + 4 * (i % 3) : 8 + 4 * (i % 3)] = colors[(i + i // 3) % 4]
    assert Detector.for_scenes(32).detect(image) == []


def test_boxes_give_the_relations_that_scenes_were_drawn_with():
    detector = Detector.for_scenes(32)
    compared = 0
    for scene in scenes("free", count=120, seed=5):
        if len({thing.shape for thing in scene.objects}) != 2:
            continue
        found = {one.name: one for one in detector.detect(render_pixels(scene, 32))}
        a, b = scene.objects
        assert relative_positions(found[a.shape].box, found[b.shape].box) == relations_between(a, b)
        compared += 1
    assert compared >= 40


def test_reading_a_scene_means_all_of_it_and_nothing_else():
    detector = Detector.for_scenes(32)
    one = SceneObject("red", "circle", "small", 8, 8, 4)
    other = SceneObject("blue", "square", "large", 24, 24, 6)
    seen = detector.detect(render_pixels(Scene((one, other)), 32))
    assert reads_scene(seen, Scene((other, one)), 32)
    assert not reads_scene(seen, Scene((one,)), 32)
    assert not reads_scene(seen[:1], Scene((one, other)), 32)
    assert not reads_scene(seen, Scene((one, SceneObject("blue", "square", "large", 24, 8, 6))), 32)
    assert not reads_scene(seen, Scene((one, SceneObject("blue", "square", "small", 24, 24, 4))), 32)


def test_another_size_of_image_is_refused():
    with pytest.raises(NoVerdict, match="made for 32 px"):
        Detector.for_scenes(32).detect(np.zeros((64, 64, 3), dtype=np.uint8))


def test_a_detector_that_misreads_scenes_may_not_judge(small):
    source = small.results / small.shapes
    require_fit(Detector.for_scenes(32), source, 32)
    drawn, images = heldout_scenes(source, 32)
    assert len(drawn) == len(images) == 24
    assert len(heldout_scenes(source, 32, limit=5)[0]) == 5
    color_blind = Detector(32, BACKGROUND, {"grey": (90, 90, 90)}, Detector.for_scenes(32).templates)
    with pytest.raises(UnfitDetectorError, match=r"read 0\.0% of 24 rendered held-out scenes right"):
        require_fit(color_blind, source, 32)
    with pytest.raises(
        UnfitDetectorError, match="scenes of another size than the 64 px that the image tokenizer makes"
    ):
        require_fit(Detector.for_scenes(64), source, 64)


def test_scenes_rendered_again_are_the_images_that_the_source_stored(small):
    _, images = heldout_scenes(small.results / small.shapes, 32)
    shown = {row["image_ids"][0] for row in iterate_rows(small.results / small.records, "heldout", ["image_ids"])}
    assert {image_id(image) for image in images} == shown

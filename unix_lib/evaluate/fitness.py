"""Whether a judge may judge: it must read rendered scenes, whose objects are known, without mistakes."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unix_lib.artefacts.errors import UserError
from unix_lib.evaluate.intervals import share
from unix_lib.evaluate.scene_files import read_scenes
from unix_lib.judges.judge import Detection, ObjectFinder
from unix_lib.sources.shapes.scenes import Scene, radius_of, render_pixels

log = logging.getLogger(__name__)
REQUIRED_ACCURACY = 0.99
SCENES_READ = 200  # before a judge may judge
PLACE_TOLERANCE = 1 / 16  # of the image's side: half an object's smallest radius


class UnfitDetectorError(UserError):
    """The detector misreads rendered scenes, so its verdicts on generated images mean nothing."""


def reads_scene(detections: Sequence[Detection], scene: Scene, image_size: int) -> bool:
    """Whether detections and objects pair off in colour, shape, size and place, with none left on either side.

    A judge that doesn't say sizes is not asked for them.
    """
    left = list(detections)
    for thing in scene.objects:
        for found in left:
            x, y = found.centre
            near = max(abs(x - thing.x), abs(y - thing.y)) <= PLACE_TOLERANCE * image_size
            same = (found.color, found.name, found.size or thing.size) == (thing.color, thing.shape, thing.size)
            if near and same:
                left.remove(found)
                break
        else:
            return False
    return not left


def heldout_scenes(benchmarks: Path, image_size: int, limit: int | None = None) -> tuple[list[Scene], np.ndarray]:
    """The held-out scenes of a `shapes` source and their images, uint8 (N, S, S, 3), as the source renders them.

    `benchmarks` is the artefact `sources/<source>-benchmarks`, already checked, S the side of the images to be judged.

    Raises:
        UnfitDetectorError: the scenes were drawn for images of another size. BenchmarkError: a line is no scene.
    """
    scenes = [scene for line in read_scenes(benchmarks / "heldout_scenes.jsonl", limit) for scene in line]
    if any(thing.radius != radius_of(thing.size, image_size) for scene in scenes for thing in scene.objects):
        raise UnfitDetectorError(
            f"{benchmarks}: scenes of another size than the {image_size} px that the image tokenizer makes; set "
            "sources.<name>.image_size and tokenizers.image.shape.image_size to the same value"
        )
    return scenes, np.stack([render_pixels(scene, image_size) for scene in scenes])


def scenes_read(judge: ObjectFinder, scenes: Sequence[Scene], images: np.ndarray) -> np.ndarray:
    """float64 (N,), 1 where the judge reads the whole scene right in its image; images are uint8 (N, S, S, 3)."""
    pairs = zip(judge.objects(images), scenes, strict=True)
    return np.array([float(reads_scene(found, scene, images.shape[1])) for found, scene in pairs])


def require_fit(judge: ObjectFinder, benchmarks: Path, image_size: int) -> None:
    """Refuse to judge with a detector that misreads more than one rendered held-out scene in a hundred.

    Raises:
        UnfitDetectorError: says how many it misread.
    """
    accuracy = share(scenes_read(judge, *heldout_scenes(benchmarks, image_size, SCENES_READ)))
    if accuracy.value < REQUIRED_ACCURACY:
        raise UnfitDetectorError(
            f"{benchmarks}: the detector read {accuracy.value:.1%} of {accuracy.n} rendered held-out scenes right, "
            f"less than {REQUIRED_ACCURACY:.0%}, so it is not fit to judge; use a larger image_size or fewer shapes, "
            "and where the source has texture a judge of kind scene_detector with textured: true"
        )
    log.info("the detector read %.1f%% of %d rendered held-out scenes right", 100 * accuracy.value, accuracy.n)

"""Whether the detector may judge: it must read rendered scenes, whose objects are known, without mistakes.

In: a `shapes` source's held-out images with their scenes. Out: per image, whether every attribute of every object
was read right and nothing else was seen.
"""

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unix_lib.artefacts.errors import UserError
from unix_lib.evaluate.detector import Detection, Detector
from unix_lib.evaluate.geneval import SeenObject
from unix_lib.evaluate.intervals import share
from unix_lib.records.schema import IMAGE_TEXT
from unix_lib.records.shards import iterate_rows
from unix_lib.sources.shapes.scenes import Scene

log = logging.getLogger(__name__)
REQUIRED_ACCURACY = 0.99
PLACE_TOLERANCE = 1 / 16  # of the image's side: half an object's smallest radius


class UnfitDetectorError(UserError):
    """The detector misreads rendered scenes, so its verdicts on generated images mean nothing."""


def seen_objects(detections: Sequence[Detection]) -> list[SeenObject]:
    """Detections in GenEval's terms: a class is a shape."""
    return [SeenObject(found.shape, found.color, found.box, found.confidence) for found in detections]


def reads_scene(detections: Sequence[Detection], scene: Scene, image_size: int) -> bool:
    """Whether detections and objects pair off in colour, shape, size and place, with none left on either side."""
    left = list(detections)
    for thing in scene.objects:
        for found in left:
            x, y = found.centre
            near = max(abs(x - thing.x), abs(y - thing.y)) <= PLACE_TOLERANCE * image_size
            if near and (found.color, found.shape, found.size) == (thing.color, thing.shape, thing.size):
                left.remove(found)
                break
        else:
            return False
    return not left


def heldout_scenes(source: Path, limit: int | None = None) -> tuple[list[Scene], np.ndarray]:
    """Scenes and their images from the held-out split of a `shapes` source.

    Args:
        source: artefact `sources/<source>`, already checked.
        limit: take only the first this many.

    Returns:
        scenes, and uint8 (N, S, S, 3).
    """
    scenes: dict[str, Scene] = {}
    with open(source / "heldout_scenes.jsonl", encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            scenes[values["sample_id"]] = Scene.from_json({"objects": values["objects"]})
    taken: list[Scene] = []
    images: list[np.ndarray] = []
    for row in iterate_rows(source, "heldout", columns=["sample_id", "kind", "image"]):
        if limit is not None and len(taken) >= limit:
            break
        if row["kind"] == IMAGE_TEXT:
            taken.append(scenes[row["sample_id"]])
            images.append(np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB")))
    return taken, np.stack(images)


def scenes_read(detector: Detector, scenes: Sequence[Scene], images: np.ndarray) -> np.ndarray:
    """float64 (N,), 1 where the detector reads the whole scene right.

    Args:
        images: uint8 (N, S, S, 3).
    """
    return np.array(
        [
            float(reads_scene(detector.detect(image), scene, detector.image_size))
            for scene, image in zip(scenes, images, strict=True)
        ]
    )


def require_fit(detector: Detector, source: Path, limit: int = 200) -> None:
    """Refuse to judge with a detector that misreads more than one rendered held-out scene in a hundred.

    Raises:
        UnfitDetectorError: says how many it misread.
    """
    scenes, images = heldout_scenes(source, limit)
    if images.shape[1] != detector.image_size:
        raise UnfitDetectorError(
            f"{source}: images of {images.shape[1]} px, but the image tokenizer makes {detector.image_size} px; set "
            "sources.<name>.image_size and tokenizers.image.shape.image_size to the same value"
        )
    accuracy = share(scenes_read(detector, scenes, images))
    if accuracy.value < REQUIRED_ACCURACY:
        raise UnfitDetectorError(
            f"{source}: the detector read {accuracy.value:.1%} of {accuracy.n} rendered held-out scenes right, less "
            f"than {REQUIRED_ACCURACY:.0%}, so it is not fit to judge; use a larger image_size or fewer shapes"
        )
    log.info("the detector read %.1f%% of %d rendered held-out scenes right", 100 * accuracy.value, accuracy.n)

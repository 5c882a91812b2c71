"""Finds COCO's classes in photographs with Mask2Former, and reads their colours with CLIP; see `mask2former`."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw
from transformers import Mask2FormerForUniversalSegmentation

from unix_lib.images.files import BadImage, rgb_of
from unix_lib.judges.clip_colors import COLORS, GREY, ColorReader, crop_of
from unix_lib.judges.coco_classes import CLASSES, geneval_name
from unix_lib.judges.instances import Instance, instances_of, prepared
from unix_lib.judges.judge import Colored, Detection, Images, JudgeError, NoVerdict, UnfitJudgeError
from unix_lib.judges.mask2former import KnownImage, Mask2FormerJudge
from unix_lib.judges.pretrained import device_called, opened_network

# ASSUME: CLIP names nearly all of ten plain colours; a blind guess names eight less than once in a million times.
LEAST_COLORS_READ = 8
PATCH = 224  # pixels along a side of a plain colour

log = logging.getLogger(__name__)


def open_detector(settings: Mask2FormerJudge, image_size: int) -> "Mask2FormerDetector":
    """The judge, which has read its known image.

    Raises:
        JudgeError: weights that are not here, or not of COCO's classes. UnfitJudgeError: it misreads that image.
    """
    judge = Mask2FormerDetector(settings)
    if settings.known_image is not None:
        judge.require_fit(settings.known_image)
    return judge


class Mask2FormerDetector:
    """Both models on one device."""

    def __init__(self, settings: Mask2FormerJudge) -> None:
        """Read their weights; raises what `open_detector` does."""
        self.device = device_called(settings.device)
        self.batch_size = settings.batch_size
        # What is less certain counts for no prompt.
        self.least = min(value or 0.0 for value in map(settings.least_confidence, ("counting", "")))
        self._detector = opened_network(Mask2FormerForUniversalSegmentation, settings.detector, self.device)
        labels = self._detector.config.id2label
        self.names = [geneval_name(labels[index]) for index in range(len(labels))]
        if sorted(map(str, self.names)) != sorted(CLASSES):
            others = sorted(label for label in labels.values() if geneval_name(label) is None)
            raise JudgeError(
                f"{settings.detector.path}: not a detector of COCO's {len(CLASSES)} classes, but of {len(labels)} "
                f"({', '.join(others[:3])} ...); give one of COCO's instances"
            )
        self._colors = ColorReader(settings.clip, self.device)

    def objects(self, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
        """See `ObjectFinder`; a colour is read where one is asked of."""
        found: list[list[Detection]] = [[] for _ in images]
        for places in self._batches(images):
            shown = np.stack([images[place] for place in places])
            for place, instances in zip(places, self._instances(shown), strict=True):
                wanted = None if colored is None else colored[place]
                found[place] = self._detections(images[place], instances, wanted)
        return found

    def _batches(self, images: Images) -> Iterator[list[int]]:
        """Places of images of one size, a few at a time: padding between sizes would change what is seen."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            by_size[image.shape].append(place)
        for places in by_size.values():
            for begin in range(0, len(places), self.batch_size):
                yield places[begin : begin + self.batch_size]

    @torch.inference_mode()
    def _instances(self, images: np.ndarray) -> list[list[Instance]]:
        """What each image shows, uint8 (N, H, W, 3).

        Raises:
            NoVerdict: the device computed no numbers, which would be an image without objects.
        """
        size = images.shape[1:3]
        seen = self._detector(pixel_values=prepared(torch.from_numpy(images).to(self.device)))
        if not bool(seen.class_queries_logits.isfinite().all()):
            raise NoVerdict("no numbers", "mask2former: no numbers came out of it; try another device")
        logits = zip(seen.class_queries_logits, seen.masks_queries_logits, strict=True)
        return [instances_of(of_classes, of_masks, size, self.least) for of_classes, of_masks in logits]

    def _detections(
        self, image: np.ndarray, instances: list[Instance], wanted: Mapping[str, int] | None
    ) -> list[Detection]:
        """The objects by class, of the most confident ones of each as many with a colour as are wanted."""
        by_class: dict[str, list[Instance]] = defaultdict(list)
        for one in instances:
            by_class[str(self.names[one.label])].append(one)
        found = []
        for name, of_class in by_class.items():
            asked = of_class if wanted is None else of_class[: wanted.get(name, 0)]
            colors = self._colors.read([crop_of(image, one) for one in asked], name) if asked else []
            colors += [""] * (len(of_class) - len(asked))
            found += [Detection(name, color, one.box, one.score) for one, color in zip(of_class, colors, strict=True)]
        return found

    def require_fit(self, known: KnownImage) -> None:
        """Refuse to judge where the weights don't do what they are for.

        Raises:
            UnfitJudgeError: says what was misread. JudgeError: the known image can't be read.
        """
        path = _portrait() if known.path is None else Path(known.path)
        try:
            found = self.objects([rgb_of(path)], [{}])[0]
        except BadImage as error:
            raise JudgeError(f"known_image {path}: {error}; give a picture that can be read") from None
        surest = max(found, key=lambda one: one.confidence, default=None)
        if surest is None or surest.name != known.shows or surest.confidence < known.confidence:
            raise UnfitJudgeError(
                f"mask2former: saw {surest or 'nothing'} first in {path.name}, which shows a {known.shows}, instead of "
                f"that with a confidence of {known.confidence:g} or more; its weights, or this device, are not fit to "
                "judge"
            )
        read = [self._colors.read([_disc(color)], "sports ball")[0] for color in COLORS]
        right = sum(map(str.__eq__, read, COLORS))
        if right < LEAST_COLORS_READ:
            raise UnfitJudgeError(
                f"mask2former: CLIP named {right} of {len(COLORS)} plain colours, less than {LEAST_COLORS_READ}; its "
                "weights, or this device, are not fit to judge"
            )
        log.info("the judge saw %s in a known image, and named %d of %d colours", surest, right, len(COLORS))


def _portrait() -> Path:
    """Rear Admiral Grace Hopper, a photograph of the US Navy in the public domain, which comes with matplotlib."""
    from matplotlib import get_data_path

    return Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"


def _disc(color: str) -> Image.Image:
    """A plain disc on the grey that CLIP sees around objects."""
    patch = Image.new("RGB", (PATCH, PATCH), (GREY, GREY, GREY))
    ImageDraw.Draw(patch).ellipse((0, 0, PATCH - 1, PATCH - 1), fill=ImageColor.getrgb(color))
    return patch

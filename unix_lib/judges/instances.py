"""From an image to Mask2Former's input, and from its raw logits to objects, by the rules of mmdet's test pipeline.

transformers' own post-processing is another one: it binarises at 384 x 384, lets later segments overwrite earlier ones
and gives no boxes.

Legend: N images, Q queries, C classes, H x W an image, h x w the masks' logits.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

LONGEST, SHORTEST = 1333, 800  # pixels that an image fits into, its ratio kept
DIVISOR = 32
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, RGB levels
MOST_INSTANCES = 100
EPSILON = 1e-6  # mmdet's, in the mean over a mask


@dataclass(frozen=True)
class Instance:
    """One object of one class; `box` is left, top, right, bottom in pixels, right and bottom exclusive."""

    label: int
    score: float
    box: tuple[int, int, int, int]
    mask: np.ndarray  # bool (H, W)


def fitted_size(height: int, width: int) -> tuple[int, int]:
    """Height and width to which an image is resized, rounded as mmcv rounds."""
    scale = min(LONGEST / max(height, width), SHORTEST / min(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def prepared(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to the detector's input, float32 (N, 3, ., .), padded with zeros on the right and below.

    Bilinear without antialiasing and rounded to levels, as OpenCV resizes bytes.
    """
    size = fitted_size(*images.shape[1:3])
    pixels = images.permute(0, 3, 1, 2).float()
    pixels = F.interpolate(pixels, size, mode="bilinear", align_corners=False).round()
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    bottom, right = (-side % DIVISOR for side in size)
    return F.pad((pixels - mean) / std, (0, right, 0, bottom))


def instances_of(class_logits: Tensor, mask_logits: Tensor, size: tuple[int, int], least: float) -> list[Instance]:
    """The objects in one image that a detector is more confident of than `least`, the most confident first.

    Of all pairs of query and class the `MOST_INSTANCES` most probable are objects, so that one query may give several.
    A score is the class's probability times the mean of the mask's sigmoid where its logit, brought to the size of the
    input and from there, without its padding, to that of the image, is positive.

    Args:
        class_logits: (Q, C + 1), the last of no object.
        mask_logits: (Q, h, w), of the padded input.
        size: (H, W) of the image.
    """
    probabilities = class_logits.float().softmax(dim=-1)[:, :-1]
    classes = probabilities.shape[1]
    top, places = probabilities.flatten().topk(min(MOST_INSTANCES, probabilities.numel()))
    places = places[top > least]  # a mask only makes a score smaller
    top = top[top > least]
    found = []
    for probability, place in zip(top.tolist(), places.tolist(), strict=True):
        logits = _at_size(mask_logits[place // classes].float(), size)
        mask = logits > 0
        area = float(mask.sum())
        score = probability * float(logits.sigmoid()[mask].sum()) / (area + EPSILON)
        if score > least and area:
            box = _extent(mask)
            found.append(Instance(place % classes, score, box, mask.cpu().numpy()))
    return sorted(found, key=lambda one: -one.score)


def _at_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits (h, w) of the padded input as those of the image, (H, W)."""
    fitted = fitted_size(*size)
    padded = [math.ceil(side / DIVISOR) * DIVISOR for side in fitted]
    whole = F.interpolate(logits[None, None], padded, mode="bilinear", align_corners=False)
    whole = whole[..., : fitted[0], : fitted[1]]
    return F.interpolate(whole, size, mode="bilinear", align_corners=False)[0, 0]


def _extent(mask: Tensor) -> tuple[int, int, int, int]:
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

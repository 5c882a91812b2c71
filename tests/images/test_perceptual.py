"""A picture keeps most bits of its hash when it is stored otherwise, and shares few with another one."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from unix_lib.images.files import BadImage
from unix_lib.images.perceptual import perceptual_hash


def scenery(seed: int) -> Image.Image:
    """Smooth blots, larger ones stronger, as in photographs."""
    rng = np.random.default_rng(seed)
    layers = (
        np.asarray(Image.fromarray(rng.random((side, side)) * 255 / side).resize((480, 480), Image.Resampling.BICUBIC))
        for side in (2, 4, 8, 16)
    )
    grey = sum(layers, np.zeros((480, 480)))
    grey = 20 + 200 * (grey - grey.min()) / (grey.max() - grey.min())
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def stored(image: Image.Image, form: str = "PNG", **how: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **how)
    return buffer.getvalue()


def apart(first: bytes, second: bytes) -> int:
    one, other = perceptual_hash(first), perceptual_hash(second)
    assert one is not None and other is not None
    return (one ^ other).bit_count()


ALTERED: list[Callable[[Image.Image], bytes]] = [
    lambda image: stored(image, "JPEG", quality=50),
    lambda image: stored(image.resize((240, 240))),
    lambda image: stored(image.resize((1600, 1600)), "JPEG"),  # decoded at a smaller scale
    lambda image: stored(ImageEnhance.Brightness(image).enhance(1.1)),
    lambda image: stored(image.convert("L")),
]


@pytest.mark.parametrize("altered", range(len(ALTERED)))
def test_an_altered_picture_has_nearly_the_same_hash(altered: int) -> None:
    for seed in range(5):
        assert apart(stored(scenery(seed)), ALTERED[altered](scenery(seed))) <= 6


def test_other_pictures_have_other_hashes() -> None:
    pictures = [stored(scenery(seed)) for seed in range(12)]
    distances = [apart(one, other) for place, one in enumerate(pictures) for other in pictures[:place]]
    assert min(distances) > 12 and 28 < np.mean(distances) < 36
    assert apart(pictures[0], stored(scenery(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 12


def test_a_blank_has_no_hash_and_a_damaged_picture_is_told() -> None:
    assert perceptual_hash(stored(Image.new("RGB", (99, 50), "white"))) is None
    with pytest.raises(BadImage, match="corrupt image"):
        perceptual_hash(stored(scenery(0))[:5000])

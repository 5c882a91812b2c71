"""Measures what perceptual hashes find of altered pictures, and what bf16 leaves of an image tokenizer's codes."""

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance

from unix_lib.config.encode import Precision
from unix_lib.config.folders import files_below
from unix_lib.config.tokenizers import VQGANShape
from unix_lib.images.files import MAX_PIXELS, BadImage, check_header, png_bytes, square_rgb
from unix_lib.images.formats import EXTENSIONS
from unix_lib.images.perceptual import perceptual_hash
from unix_lib.speed.measuring import Open, take_turns
from unix_lib.speed.model import Row
from unix_lib.tokenizers.image import ImageTokenizer
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

DISTANCES = (6, 4, 8)  # the default, and less and more
SIDE = 600  # pixels of a whole picture
SMALL = VQGANShape(image_size=64, codebook_size=1024, base_channels=32, channel_multipliers=[1, 1, 2])
BATCH = 16


def altered_rows(folder: Path) -> list[Row]:
    """Shares of altered pictures whose hash is near the picture's, and of pairs of pictures that are near each other.

    A picture is one of the folder, or a ninth of one.
    """
    pictures = list(_pictures(folder))
    own = _hashes(pictures)
    pairs = np.bitwise_count(own[:, None] ^ own[None, :])[np.triu_indices(len(own), 1)]
    apart = {name: np.bitwise_count(own ^ _hashes(map(alter, pictures))) for name, alter in ALTERED.items()}
    apart["another picture"] = pairs[pairs > 0]  # those with equal hashes are taken for copies
    described = f"{len(pictures):,} pictures, at {DISTANCES[0]} bits ({DISTANCES[1]} and {DISTANCES[2]})"
    shares = {name: [float((bits <= most).mean()) for most in DISTANCES] for name, bits in apart.items()}
    return [
        Row("share found alike", described, name, usual, fewer, more) for name, (usual, fewer, more) in shares.items()
    ]


def code_rows(rounds: int, device: torch.device) -> list[Row]:
    """Images encoded by an untrained tokenizer in float32 and in bf16, with the share of codes that are float32's."""
    levels = torch.randint(0, 256, (BATCH, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def tokenizer(precision: Precision) -> ImageTokenizer:
        model = VQGAN(vqgan_config(SMALL))
        model.initialize_afresh(0)
        return ImageTokenizer(model, device.type, precision)

    contenders: dict[str, Open] = {
        name: partial(partial, tokenizer(name).encode, levels) for name in ("float32", "bf16")
    }
    times = take_turns(contenders, rounds, device, "codes")
    same = (tokenizer("float32").encode(levels) == tokenizer("bf16").encode(levels)).float().mean().item()
    described = f"{SMALL.image_size} pixels, {same:.1%} of bf16's codes are float32's, untrained"
    return [
        Row("images encoded/s", described, name, *of.speeds(BATCH), relative=of.over(times["float32"]))
        for name, of in times.items()
    ]


def _pictures(folder: Path) -> Iterator[Image.Image]:
    for path in files_below(folder):
        if path.suffix.lower() in EXTENSIONS:
            try:
                check_header(path, MAX_PIXELS, 2.5)
                whole = Image.fromarray(square_rgb(path, SIDE))
            except BadImage:
                continue
            third = SIDE // 3
            places = [(0, 0, SIDE, SIDE)] + [
                (third * column, third * row, third * (column + 1), third * (row + 1))
                for row in range(3)
                for column in range(3)
            ]
            yield from (part for place in places if _hash(part := whole.crop(place)))


def _hashes(pictures: Iterable[Image.Image]) -> np.ndarray:
    return np.array([_hash(picture) for picture in pictures], np.uint64)


def _hash(image: Image.Image) -> int:
    """0 of a blank picture."""
    return perceptual_hash(png_bytes(np.asarray(image.convert("RGB")))) or 0


def _compressed(quality: int, image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer)


def _labelled(image: Image.Image) -> Image.Image:
    labelled, (width, height) = image.copy(), image.size
    ImageDraw.Draw(labelled).rectangle((width * 0.65, height * 0.85, width * 0.98, height * 0.97), "white")
    return labelled


def _cut(share: float, image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((int(width * share), int(height * share), int(width * (1 - share)), int(height * (1 - share))))


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 50": partial(_compressed, 50),
    "JPEG of quality 20": partial(_compressed, 20),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "5% cut off around it": partial(_cut, 0.025),
    "1.3 times as bright": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "an opaque label on 4%": _labelled,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}

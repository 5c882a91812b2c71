"""What a picture looks like in 64 bits: pictures that were scaled, compressed or brightened differ in few of them.

A discrete cosine transform of the grey picture, squeezed to 32 x 32; a bit says whether one of the 64 lowest
frequencies, the mean brightness left out, is above their median. Colour is not looked at, and a mirrored or turned
picture is another one. Differences of neighbouring pixels find more cut and labelled copies at the same distance, but
also hundreds of pairs of different pictures where this finds one or none; docs/data.md has what is found.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from unix_lib.images.files import DECODING_ERRORS, BadImage, read_image

SIDE = 32  # pixels
BITS = 64
# Standard deviation, of 255 grey levels: what has less is a blank, and blanks are alike only by their noise.
LEAST_CONTRAST = 2.0


def _lowest_frequencies() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The transform, float64 (SIDE, SIDE), and where its lowest frequencies are, by rows and columns."""
    place = np.arange(SIDE)
    cosines = np.cos(np.pi / SIDE * (place[None, :] + 0.5) * place[:, None])
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    order = np.lexsort((columns, rows, rows**2 + columns**2))[1 : BITS + 1]
    return cosines, rows[order], columns[order]


COSINES, ROWS, COLUMNS = _lowest_frequencies()


def perceptual_hash(data: bytes) -> int | None:
    """The hash of an image as it is stored, whose header was checked; None of a blank one.

    Raises:
        BadImage: it can't be decoded.
    """
    try:
        return hash_of_grey(read_image(io.BytesIO(data), _grey))
    except DECODING_ERRORS as error:
        raise BadImage("corrupt image", "its pixels can't be decoded") from error


def hash_of_grey(grey: np.ndarray) -> int | None:
    """The hash of grey levels (SIDE, SIDE); None without contrast."""
    if grey.std() < LEAST_CONTRAST:
        return None
    frequencies = (COSINES @ grey.astype(np.float64) @ COSINES.T)[ROWS, COLUMNS]
    return int.from_bytes(np.packbits(frequencies > np.median(frequencies)).tobytes())


def _grey(image: Image.Image) -> np.ndarray:
    image.draft("L", (4 * SIDE, 4 * SIDE))  # of a JPEG, decoded at an eighth of its size where it is large
    try:
        image = ImageOps.exif_transpose(image)
    except AttributeError as error:
        raise BadImage("corrupt image", "damaged EXIF") from error
    if image.mode != "L":
        image = image.convert("RGB").convert("L")
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))

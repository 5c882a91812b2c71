"""Images to codes and back, as 8-bit RGB arrays."""

import numpy as np
import torch

from unix_lib.images.pixels import image_from_pixels, pixels_from_rgb
from unix_lib.tokenizers.image import ImageTokenizer


def encode_images(tokenizer: ImageTokenizer, images: np.ndarray) -> np.ndarray:
    """Codes int64 (N, codes_per_image) of images, uint8 (N, S, S, 3)."""
    pixels = pixels_from_rgb(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return tokenizer.encode(pixels).numpy()


def decode_images(tokenizer: ImageTokenizer, codes: np.ndarray) -> np.ndarray:
    """Images of codes (N, codes_per_image), uint8 (N, S, S, 3)."""
    decoded = tokenizer.decode(torch.from_numpy(codes.astype(np.int64)))
    return np.stack([np.asarray(image_from_pixels(pixels)) for pixels in decoded])

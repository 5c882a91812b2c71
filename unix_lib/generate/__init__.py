"""Decoding with caches per layer and modality: images from text, text from text and images."""

from unix_lib.generate.images import generate_images
from unix_lib.generate.text import generate_text

__all__ = ["generate_images", "generate_text"]

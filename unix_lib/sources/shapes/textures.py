"""Textures with the statistics of natural images: dead leaves, discs of all sizes that hide each other.

Discs of density r^-3 in their radius, each behind those thrown before it, have edges, occlusion and all scales, and so
a power spectrum near 1/f^2, as photographs have (Lee, Mumford and Huang 2001, "Occlusion Models for Natural Images").
The share of a picture that they cover is the texture's strength: contrast would not do, a codebook adapts to it.

Leaves are nearly grey, and inside an object they change its brightness only: objects stand out by hue and saturation.

S side of an image, N pixels, L leaves.
"""

import math
from dataclasses import dataclass

import numpy as np

SMALLEST, LARGEST = 1.5 / 32, 16 / 32  # radii, shares of the image's side
BATCH = 128  # leaves thrown together
BRIGHTNESS = (125.0, 230.0)  # of leaves, RGB levels
TINT = 0.12  # largest saturation of a leaf
SHADE = (0.75, 1.0)  # what the leaves inside an object leave of its brightness


@dataclass(frozen=True)
class Texture:
    """What decides a scene's texture."""

    strength: float  # 0..1, expected share of the picture that leaves cover; 1 covers all of it
    seed: int


def leaf_of(covered: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Which leaf lies on top of each of some pixels, int64 (N,), -1 where there is none.

    Leaves fall as a Poisson process, so what a strength below 1 leaves bare has that share in expectation.

    Args:
        covered: bool (S, S), the N pixels.
    """
    size = len(covered)
    smallest, largest = SMALLEST * size, LARGEST * size
    ground = (size + 2 * largest) ** 2  # where a leaf's centre may fall
    mean_area = 2 * math.pi * math.log(largest / smallest) / (smallest**-2 - largest**-2)
    left = math.inf if strength >= 1 else rng.poisson(-math.log1p(-strength) * ground / mean_area)
    y, x = (places.astype(np.float32) + 0.5 for places in np.nonzero(covered))
    leaves, bare, thrown = np.full(len(x), -1), np.arange(len(x)), 0
    while thrown < left and len(bare):
        count = int(min(BATCH, left - thrown))
        radius_squared = 1 / (smallest**-2 - rng.random(count) * (smallest**-2 - largest**-2))
        centre_x, centre_y = (rng.random((2, count)) * (size + 2 * largest) - largest).astype(np.float32)
        away = (x[bare] - centre_x[:, None]) ** 2 + (y[bare] - centre_y[:, None]) ** 2
        inside = away <= radius_squared.astype(np.float32)[:, None]  # (L, bare)
        first = inside.argmax(axis=0)
        hit = inside[first, np.arange(len(bare))]
        leaves[bare[hit]] = thrown + first[hit]
        bare, thrown = bare[~hit], thrown + count
    return leaves


def textured(pixels: np.ndarray, objects: np.ndarray, texture: Texture) -> np.ndarray:
    """A plain picture with leaves on its background and, in other ones, its objects, uint8 (S, S, 3).

    Args:
        pixels: uint8 (S, S, 3), the plain picture.
        objects: int (S, S), which object each pixel belongs to, from 0; -1 is background.
    """
    rng = np.random.default_rng(texture.seed)
    painted = pixels.astype(np.float32)
    for index in range(-1, int(objects.max()) + 1):
        here = objects == index
        leaves = leaf_of(here, texture.strength, rng)
        brightness = rng.random(leaves.max(initial=-1) + 1)
        if index < 0:
            hues = rng.random((len(brightness), 3))
            hues = 1 - TINT * (hues / hues.max(axis=1, keepdims=True, initial=1e-9))
            low, high = BRIGHTNESS
            colors = (low + (high - low) * brightness)[:, None] * hues
        else:
            low, high = SHADE
            colors = (low + (high - low) * brightness)[:, None] * pixels[here][:1]
        shown = painted[here]
        shown[leaves >= 0] = colors[leaves[leaves >= 0]]
        painted[here] = shown
    return np.rint(painted).astype(np.uint8)

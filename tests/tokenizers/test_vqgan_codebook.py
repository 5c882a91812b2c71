"""The patch codebook: rare patches get codes too, equal patches equal ones."""

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2

from unix_lib.images.pixels import pixels_from_rgb
from unix_lib.tokenizers.vqgan_codebook import PatchCodebook, kmeans, nearest, patches_of, squared_distances


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes(count: int) -> np.ndarray:
    """uint8 (count, 3, 16, 16): grey with one red or blue 4x4 square, on the grid of patches; a green one once."""
    rng = np.random.default_rng(4)
    images = np.full((count, 3, 16, 16), 200, np.uint8)
    for index, image in enumerate(images):
        y, x = 4 * rng.integers(0, 4, 2)
        color = [(220, 20, 20), (20, 60, 220)][index % 2] if index else (0, 150, 40)
        image[:, y : y + 4, x : x + 4] = np.array(color, np.uint8)[:, None, None]
    return images


def test_squared_distances_agree_with_cdist() -> None:
    a, b = torch.randn(50, 6, generator=generator()), torch.randn(9, 6, generator=generator(1))
    torch.testing.assert_close(squared_distances(a, b), torch.cdist(a, b).square(), atol=1e-4, rtol=1e-4)
    index, distance = nearest(a, b)
    torch.testing.assert_close(distance, torch.cdist(a, b).square().amin(1), atol=1e-4, rtol=1e-4)
    assert torch.equal(index, torch.cdist(a, b).argmin(1))


def test_kmeans_finds_rare_clusters_beside_a_common_one() -> None:
    """Background patches are most of an image; the rest must get codes too."""
    centres = torch.arange(6, dtype=torch.float32)[:, None] * torch.tensor([10.0, 0.0, 0.0])
    points = (centres[:, None] + 0.01 * torch.randn(6, 5, 3, generator=generator(7))).reshape(-1, 3)
    common = torch.full((5000, 3), -10.0) + 0.01 * torch.randn(5000, 3, generator=generator(2))
    found = kmeans(torch.cat([common, points]), 7, generator())
    expected = torch.cat([torch.full((1, 3), -10.0), centres])
    assert float(squared_distances(expected, found).amin(1).max()) < 0.01


def test_kmeans_serves_as_well_as_scipys() -> None:
    points = torch.randn(600, 4, generator=generator(3))
    ours = float(nearest(points, kmeans(points, 20, generator()))[1].mean())
    centres, _ = kmeans2(points.numpy(), 20, iter=10, minit="++", seed=0)
    theirs = float(nearest(points, torch.from_numpy(centres))[1].mean())
    assert ours < 1.1 * theirs


def test_kmeans_with_more_codes_than_latents_still_ends() -> None:
    assert kmeans(torch.ones(3, 2), 8, generator()).shape == (8, 2)


def test_equal_patches_have_equal_codes_wherever_they_are() -> None:
    images = scenes(40)
    codebook = PatchCodebook.fit(images, 4, 6, 4, generator())
    pixels = pixels_from_rgb(images)
    codes = codebook.codes_of(pixels)
    assert codes.shape == (40, 16)
    _, of_patch = np.unique(patches_of(pixels, 4).reshape(-1, 48).numpy(), axis=0, return_inverse=True)
    pairs = set(zip(of_patch.tolist(), codes.flatten().tolist(), strict=True))
    assert len(pairs) == 4  # grey, red, blue, and the green one that occurs once: one code each


def test_codes_are_row_major() -> None:
    images = np.full((2, 3, 16, 16), 200, np.uint8)
    images[1, :, 4:8, 12:16] = 0
    codes = PatchCodebook.fit(images, 4, 4, 2, generator()).codes_of(pixels_from_rgb(images))
    assert torch.nonzero(codes[1] != codes[0, 0]).flatten().tolist() == [1 * 4 + 3]


@pytest.mark.parametrize("width", [6, 48, 60])
def test_width_may_exceed_what_a_patch_holds(width: int) -> None:
    codebook = PatchCodebook.fit(scenes(10), 4, width, 3, generator())
    assert codebook.vectors.shape == (3, width)
    assert torch.isfinite(codebook.vectors).all()


def test_a_single_flat_image_still_gives_a_codebook() -> None:
    codebook = PatchCodebook.fit(np.full((1, 3, 8, 8), 7, np.uint8), 4, 4, 5, generator())
    assert torch.isfinite(codebook.vectors).all()

"""Codebook learning: k-means, moving averages, and what becomes of dead codes."""

import torch

from unix_lib.tokenizers.vqgan_codebook import MovingAverageCodebook, kmeans, squared_distances


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(count: int, points: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (count, 3) on a line, 10 apart, and points around them."""
    centres = torch.arange(count, dtype=torch.float32)[:, None] * torch.tensor([10.0, 0.0, 0.0])
    noise = torch.randn(count, points, 3, generator=generator(7)) * spread
    return centres, (centres[:, None] + noise).reshape(-1, 3)


def test_squared_distances_agree_with_cdist() -> None:
    a, b = torch.randn(50, 6, generator=generator()), torch.randn(9, 6, generator=generator(1))
    torch.testing.assert_close(squared_distances(a, b), torch.cdist(a, b).square(), atol=1e-4, rtol=1e-4)


def test_kmeans_finds_rare_clusters_beside_a_common_one() -> None:
    """Background patches are most of an image; the rest must get codes too."""
    centres, points = clusters(6, 5, 0.01)
    common = torch.full((5000, 3), -10.0) + 0.01 * torch.randn(5000, 3, generator=generator(2))
    found = kmeans(torch.cat([common, points]), 7, generator())
    expected = torch.cat([torch.full((1, 3), -10.0), centres])
    assert float(squared_distances(expected, found).amin(1).max()) < 0.01


def test_kmeans_with_more_codes_than_latents_still_ends() -> None:
    assert kmeans(torch.ones(3, 2), 8, generator()).shape == (8, 2)


def test_moving_average_settles_on_the_mean_of_what_a_code_serves() -> None:
    _, points = clusters(4, 50, 0.1)
    codebook = MovingAverageCodebook.from_latents(points, 4, len(points), generator())
    moved = points + 0.5
    for _ in range(400):
        codebook.update(moved, squared_distances(moved, codebook.vectors).argmin(1))
    means = moved.view(4, 50, 3).mean(1)
    assert float(squared_distances(means, codebook.vectors).amin(1).max()) < 1e-3
    assert abs(float(codebook.counts.sum()) - len(points)) < 1


def test_a_dead_code_moves_to_the_worst_served_latent() -> None:
    centres, points = clusters(3, 100, 0.0)
    counts = torch.tensor([100.0, 100.0, 0.001])
    vectors = torch.stack([centres[0], centres[1], torch.full((3,), 1e6)])
    codebook = MovingAverageCodebook(vectors, counts, vectors * counts[:, None])
    assert codebook.revive(points, generator()) == 1
    assert torch.equal(codebook.vectors, centres)


def test_nothing_moves_when_every_latent_is_served_exactly() -> None:
    centres, points = clusters(2, 10, 0.0)
    vectors = torch.cat([centres, centres[:1] + 500])
    counts = torch.tensor([10.0, 10.0, 0.0])
    codebook = MovingAverageCodebook(vectors.clone(), counts, vectors * counts[:, None])
    assert codebook.revive(points, generator()) == 0
    assert torch.equal(codebook.vectors, vectors)

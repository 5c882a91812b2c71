"""Learning the codebook: k-means++ start, moving averages, and new life for dead codes.

Gradient-trained codebooks collapse: most codes are never nearest to anything. Here each code is the exponential moving
average of the latents assigned to it (arXiv 1711.00937, appendix A.1), the start is k-means over encoder outputs, and a
code that is hardly used moves to a latent that is badly served, drawn with probability proportional to its squared
distance (k-means++, arXiv 1206.6387 names the rule). Every draw comes from a generator seeded by (seed, step), so
there is no random state to save.

Shapes: N latents, E embedding width, K codes.
"""

import torch

DECAY = 0.98  # ASSUME: a memory of 50 steps; slower averages lag behind the encoder in runs of hundreds of steps
DEAD_SHARE = 0.03  # ASSUME: below 3% of an even share of the codes a code counts as dead
KMEANS_ROUNDS = 10


def squared_distances(latents: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """(N, E) against (K, E): squared Euclidean distances (N, K), clamped at 0."""
    crossed = latents @ codebook.T
    return (latents.square().sum(1, keepdim=True) + codebook.square().sum(1) - 2.0 * crossed).clamp_min(0.0)


def kmeans(latents: torch.Tensor, codes: int, generator: torch.Generator) -> torch.Tensor:
    """k-means with a k-means++ start.

    Args:
        latents: (N, E).
        codes: K; may exceed the number of distinct latents, surplus codes then repeat.
        generator: source of the draws.

    Returns:
        centres (K, E).
    """
    chosen = [int(torch.randint(len(latents), (1,), generator=generator))]
    nearest = squared_distances(latents, latents[chosen])[:, 0]
    for _ in range(codes - 1):
        # A floor keeps the draw legal when every latent is already a centre.
        chosen.append(int(torch.multinomial(nearest + 1e-12, 1, generator=generator)))
        nearest = torch.minimum(nearest, squared_distances(latents, latents[chosen[-1:]])[:, 0])
    centres = latents[chosen].clone()
    for _ in range(KMEANS_ROUNDS):
        counts, sums = assigned(latents, squared_distances(latents, centres).argmin(1), codes)
        used = counts > 0
        centres[used] = sums[used] / counts[used, None]
    return centres


def assigned(latents: torch.Tensor, codes: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts (K,) and sums (K, E) of the latents (N, E) assigned to each code by `codes` (N,)."""
    one_hot = torch.nn.functional.one_hot(codes, size).to(latents.dtype)
    return one_hot.sum(0), one_hot.T @ latents


class MovingAverageCodebook:
    """The codebook during training; `vectors` (K, E) is what the quantizer uses."""

    def __init__(self, vectors: torch.Tensor, counts: torch.Tensor, sums: torch.Tensor) -> None:
        self.vectors, self.counts, self.sums = vectors, counts, sums

    @classmethod
    def from_latents(
        cls, latents: torch.Tensor, codes: int, latents_per_step: int, generator: torch.Generator
    ) -> "MovingAverageCodebook":
        """Start from k-means over latents (N, E), with counts as `latents_per_step` latents would give them."""
        vectors = kmeans(latents, codes, generator)
        counts, _ = assigned(latents, squared_distances(latents, vectors).argmin(1), codes)
        counts = counts * (latents_per_step / len(latents))
        return cls(vectors, counts, vectors * counts[:, None])

    def update(self, latents: torch.Tensor, codes: torch.Tensor) -> None:
        """Move each code towards the latents (N, E) that were assigned to it by `codes` (N,)."""
        counts, sums = assigned(latents, codes, len(self.vectors))
        self.counts.mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.sums.mul_(DECAY).add_(sums, alpha=1 - DECAY)
        alive = self.counts > 1e-3
        self.vectors[alive] = self.sums[alive] / self.counts[alive, None]

    def revive(self, latents: torch.Tensor, generator: torch.Generator) -> int:
        """Move dead codes to badly served latents out of (N, E); returns how many moved."""
        even_share = float(self.counts.sum()) / len(self.counts)
        dead = torch.nonzero(self.counts < DEAD_SHARE * even_share)[:, 0]
        error = squared_distances(latents, self.vectors).amin(1)
        available = min(len(dead), int((error > 0).sum()))
        if available == 0:
            return 0
        dead = dead[:available]
        drawn = torch.multinomial(error, available, replacement=False, generator=generator)
        self.vectors[dead] = latents[drawn]
        self.counts[dead] = even_share * 2 * DEAD_SHARE  # enough to be given a chance
        self.sums[dead] = self.vectors[dead] * self.counts[dead, None]
        return available

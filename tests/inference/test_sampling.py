"""Samples against their distribution, and the random numbers behind them."""

import pytest
import torch

from unix_lib.inference.sampling import sample, uniforms


def test_samples_follow_the_kept_distribution() -> None:
    probability = torch.tensor([0.4, 0.1, 0.3, 0.15, 0.05], dtype=torch.float64)
    grid = torch.arange(0.5, 20000) / 20000
    logits = probability.log().expand(len(grid), -1)

    def shares(**options: float) -> list[float]:
        drawn = sample(logits, grid, **({"temperature": 1.0, "top_k": 0, "top_p": 1.0} | options))
        return (torch.bincount(drawn, minlength=5) / len(grid)).tolist()

    assert shares() == pytest.approx(probability.tolist(), abs=1e-4)
    assert shares(temperature=0.5) == pytest.approx((probability**2 / (probability**2).sum()).tolist(), abs=1e-4)
    assert shares(top_k=2) == pytest.approx([4 / 7, 0, 3 / 7, 0, 0], abs=1e-4)
    assert shares(top_p=0.75) == pytest.approx([0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0], abs=1e-4)
    assert shares(top_k=2, top_p=0.5) == pytest.approx([1, 0, 0, 0, 0], abs=1e-4)  # 4/7 of what top-k kept
    assert shares(top_p=0.01) == pytest.approx([1, 0, 0, 0, 0], abs=1e-4)
    edge = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert sample(logits[:2], edge, temperature=1.0, top_k=0, top_p=1.0).tolist() == [0, 4]
    assert sample(logits[:2], edge, temperature=1.0, top_k=0, top_p=0.8).tolist() == [0, 3]


def test_random_numbers_depend_on_seed_and_position_only() -> None:
    drawn = uniforms([5, 6, 5], 4)
    assert (drawn[0] == drawn[2]).all() and (drawn[0] != drawn[1]).all()
    assert (uniforms([5], 9)[0, :4] == drawn[0]).all()

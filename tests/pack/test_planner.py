"""The plan against a brute force, and what must hold of every plan."""

from typing import Any

import numpy as np
import pytest

from unix_lib.pack.planner import PackError, best_fit, one_each


def brute_force_free_space(lengths: np.ndarray, capacity: int) -> list[int]:
    """Free space of every pack, sorted, by the textbook: long ones first, each into the fullest pack with room."""
    long = [length for length in lengths.tolist() if length > capacity / 4]
    free: list[int] = []
    for length in sorted(long, reverse=True) + [length for length in lengths.tolist() if length <= capacity / 4]:
        fitting = [pack for pack, space in enumerate(free) if space >= length]
        if fitting:
            free[min(fitting, key=lambda pack: free[pack])] -= length
        else:
            free.append(capacity - length)
    return sorted(free)


@pytest.mark.parametrize("seed", range(60))
def test_plan_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    capacity = int(rng.integers(1, 80))
    longest = int(rng.integers(1, capacity + 1))  # many short documents in some plans, few long ones in others
    lengths = rng.integers(1, longest + 1, size=int(rng.integers(0, 300)))
    plan = best_fit(lengths, capacity)
    free = np.full(plan.num_packs, capacity)
    np.subtract.at(free, plan.pack_of, lengths)
    assert sorted(free.tolist()) == brute_force_free_space(lengths, capacity)


@pytest.mark.parametrize("capacity", [1, 7, 1000, 1024, 20_480, 20_481])
def test_documents_are_whole_and_apart(capacity: int) -> None:
    """Every token of every document has a place of its own inside its pack."""
    lengths = np.random.default_rng(capacity).integers(1, capacity + 1, size=400)
    plan = best_fit(lengths, capacity)
    assert plan.pack_of.min() == 0
    assert set(plan.pack_of.tolist()) == set(range(plan.num_packs))
    for pack in range(plan.num_packs):
        inside = np.flatnonzero(plan.pack_of == pack)
        inside = inside[np.argsort(plan.offset_of[inside])]
        starts, ends = plan.offset_of[inside], plan.offset_of[inside] + lengths[inside]
        assert starts[0] == 0  # no gap, no overlap, nothing beyond the capacity
        assert (starts[1:] == ends[:-1]).all()
        assert ends[-1] <= capacity


def test_equal_lengths_fill_packs_in_order() -> None:
    plan = best_fit(np.full(7, 3), 10)
    assert plan.pack_of.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert plan.offset_of.tolist() == [0, 3, 6, 0, 3, 6, 0]


def test_images_with_captions_fill_long_packs() -> None:
    """1,026-token images with captions beside log-normal text: at least 99.9% of 20,480-token packs is used."""
    rng = np.random.default_rng(0)
    images = 1026 + rng.integers(5, 80, 20_000)
    texts = np.clip(rng.lognormal(6, 1.2, 20_000), 1, 20_480).astype(np.int64)
    lengths = rng.permutation(np.concatenate([images, texts]))
    plan = best_fit(lengths, 20_480)
    assert lengths.sum() / (plan.num_packs * 20_480) >= 0.999


def test_kinds_of_their_own_length_are_mixed() -> None:
    """Kinds of 69, 85 and 190 tokens: a pack holds several, as the next documents of a random order do."""
    kinds = (69, 85, 190)
    lengths = np.random.default_rng(0).permutation(np.repeat(kinds, 2000))
    plan = best_fit(lengths, 1024)
    held = np.stack([np.bincount(plan.pack_of[lengths == kind], minlength=plan.num_packs) for kind in kinds])
    assert ((held > 0).sum(axis=0) > 1).mean() > 0.9
    assert lengths.sum() / (plan.num_packs * 1024) > 0.95


def test_no_documents_need_no_pack() -> None:
    assert best_fit(np.zeros(0, dtype=np.int64), 16).num_packs == 0


def test_without_packing_each_document_has_a_pack() -> None:
    plan = one_each(np.array([3, 16, 1]), 16)
    assert (plan.pack_of.tolist(), plan.offset_of.tolist(), plan.num_packs) == ([0, 1, 2], [0, 0, 0], 3)


@pytest.mark.parametrize("plan", [best_fit, one_each])
@pytest.mark.parametrize(("lengths", "index"), [([3, 0, 99], 1), ([3, 17], 1), ([-1], 0)])
def test_a_document_that_fits_no_pack_is_named(plan: Any, lengths: list[int], index: int) -> None:
    with pytest.raises(PackError, match=f"document {index} has {lengths[index]} tokens, a pack takes 1 to 16"):
        plan(np.array(lengths), 16)

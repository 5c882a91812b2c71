"""The order of packs: the same for any number of processes, and one integer says where it stands."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unix_lib.train.errors import TrainError
from unix_lib.train.stream import PackStream, Share, warn_of_repeats


def _packs(count: int) -> list[Any]:
    return [
        SimpleNamespace(
            input_ids=np.full(4 + index, index, dtype=np.int32),
            loss_mask=np.ones(4 + index, dtype=bool),
            document_lengths=np.array([4 + index], dtype=np.int32),
        )
        for index in range(count)
    ]


def _seen(packs: list[Any], share: Share, start: int, end: int) -> list[list[int]]:
    stream = PackStream(packs, share, start, end, lambda chosen: {"ids": [int(pack.input_ids[0]) for pack in chosen]})
    return [batch.inputs["ids"] for batch in stream]


def test_a_stream_continues_where_another_ended_across_the_end_of_the_packs() -> None:
    packs, share = _packs(5), Share(packs_per_step=2, micro_batch=1)
    whole = _seen(packs, share, 0, 14)
    assert [ids[0] for ids in whole] == [position % 5 for position in range(14)]
    assert _seen(packs, share, 0, 6) + _seen(packs, share, 6, 14) == whole


@pytest.mark.parametrize(("world_size", "micro_batch"), [(1, 4), (2, 1), (2, 2), (4, 1)])
def test_every_step_has_the_same_packs_for_any_number_of_processes(world_size: int, micro_batch: int) -> None:
    packs = _packs(7)
    per_process = [_seen(packs, Share(4, micro_batch, rank, world_size), 8, 20) for rank in range(world_size)]
    accumulation = Share(4, micro_batch, 0, world_size).accumulation
    for step in range(3):
        own = slice(step * accumulation, (step + 1) * accumulation)
        ids = [index for batches in per_process for batch in batches[own] for index in batch]
        assert sorted(ids) == sorted((8 + 4 * step + offset) % 7 for offset in range(4))


def test_real_tokens_are_counted() -> None:
    stream = PackStream(_packs(3), Share(2, 2), 0, 2, lambda chosen: {})
    assert [batch.tokens for batch in stream] == [4 + 5]


def test_packs_that_cannot_be_dealt_evenly_are_refused() -> None:
    with pytest.raises(TrainError, match=r"packs_per_step 6 .* multiple of 4"):
        Share(packs_per_step=6, micro_batch=2, world_size=2)


def test_a_mixture_without_packs_is_refused() -> None:
    warn_of_repeats(10, 0)  # comes first, and leaves it to the stream
    with pytest.raises(TrainError, match="no packs"):
        PackStream([], Share(1, 1), 0, 1, lambda chosen: {})


def test_the_fingerprint_changes_with_position_and_content() -> None:
    packs, share = _packs(5), Share(2, 1)
    stream = PackStream(packs, share, 0, 10, lambda chosen: {})
    first = stream.fingerprint(2)
    assert first == PackStream(packs, Share(2, 1, 1, 2), 0, 10, lambda chosen: {}).fingerprint(2)
    assert first == stream.fingerprint(2 + len(packs))
    assert first != stream.fingerprint(3)
    packs[3].loss_mask[1] = False
    assert first != stream.fingerprint(2)

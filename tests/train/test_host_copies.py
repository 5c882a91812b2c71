"""Copies of a state share no memory with it, and among themselves what the originals share."""

from typing import Any

import torch

from unix_lib.train.host_copies import HostCopies, storages


def _state() -> dict[str, Any]:
    flat = torch.arange(24.0)
    return {
        "module": {"tied": flat[:6].view(2, 3), "also": flat[:6].view(2, 3), "view": flat[6:].view(3, 6).T},
        "optimizer": [{"exp_avg": torch.ones(7, dtype=torch.bfloat16), "step": torch.tensor(3.0)}, {"lr": 0.5}],
        "empty": torch.empty(0),
    }


def test_a_copy_is_equal_and_keeps_its_values_when_the_original_changes() -> None:
    state, copies = _state(), HostCopies()
    copy = copies.take(state)
    state["module"]["tied"].fill_(-1)
    state["optimizer"][0]["exp_avg"].zero_()
    expected = _state()
    for name, value in expected["module"].items():
        assert torch.equal(copy["module"][name], value) and copy["module"][name].stride() == value.stride()
    assert torch.equal(copy["optimizer"][0]["exp_avg"], expected["optimizer"][0]["exp_avg"])
    assert copy["optimizer"][1] == {"lr": 0.5} and copy["empty"].numel() == 0


def test_shared_memory_is_copied_once_and_stays_shared() -> None:
    state = _state()
    assert sum(piece.nbytes() for piece in storages(state)) == 24 * 4 + 7 * 2 + 4
    copy = HostCopies().take(state)
    assert sum(piece.nbytes() for piece in storages(copy)) == 24 * 4 + 7 * 2 + 4
    copy["module"]["tied"][0, 0] = 9
    assert copy["module"]["also"][0, 0] == 9


def test_the_next_copy_reuses_the_memory_unless_the_sizes_differ() -> None:
    copies = HostCopies()
    copies.allocate([piece.nbytes() for piece in storages(_state())])
    allocated = {buffer.data_ptr() for buffer in copies._buffers}
    before = copies.take(_state())["module"]["tied"].data_ptr()
    assert before in allocated
    assert copies.take(_state())["module"]["tied"].data_ptr() == before
    longer = _state() | {"module": torch.arange(30.0)}
    assert torch.equal(copies.take(longer)["module"], torch.arange(30.0))

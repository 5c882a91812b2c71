"""Copies of a training state in host memory, from which it is written while training changes the original."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only


def storages(state: Any) -> Iterator[torch.UntypedStorage]:
    """The memory behind a state's tensors, each piece once: tensors may share it, as tied weights do."""
    found = {}
    for leaf in tree_leaves(state):
        if isinstance(leaf, Tensor):
            storage = leaf.untyped_storage()
            found[storage._cdata] = storage
    yield from found.values()


class HostCopies:
    """Copies of one state after the other. The memory is kept: to touch fresh pages takes longer than to copy."""

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []

    def allocate(self, sizes: list[int]) -> None:
        """Get the memory for storages of these sizes, so that the first copy is as quick as the later ones."""
        self._buffers = [_memory(size).zero_() for size in sizes]

    def take(self, state: Any) -> Any:
        """The same dictionaries and lists with copies of all tensors, which share memory as the originals do.

        Valid until the next call.
        """
        buffers = {}
        for index, storage in enumerate(storages(state)):
            buffer = self._buffer(index, storage.nbytes())
            whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
            buffer.copy_(whole, non_blocking=True)
            buffers[storage._cdata] = buffer.untyped_storage()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

        def copy(tensor: Tensor) -> Tensor:
            place = buffers[tensor.untyped_storage()._cdata]
            empty = torch.empty(0, dtype=tensor.dtype)
            return empty.set_(place, tensor.storage_offset(), tensor.size(), tensor.stride())

        return tree_map_only(Tensor, copy, state)

    def _buffer(self, index: int, size: int) -> Tensor:
        """Memory of that many bytes for the state's next storage; a run's states are all laid out alike."""
        if index == len(self._buffers) or self._buffers[index].numel() != size:
            self._buffers[index:] = [_memory(size)]
        return self._buffers[index]


def _memory(size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, pin_memory=torch.cuda.is_available())

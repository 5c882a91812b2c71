"""Runs prompts, and keeps a few of them: the same one is often asked for several times, and guidance's always."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from unix_lib.inference.slots import Prompt
from unix_lib.models.decoder import UnixForCausalLM, of_the_layers
from unix_lib.models.routing import Documents, build_batch, is_vision, move_batch

KEPT = 8
Ids = tuple[int, ...]


class Prompts:
    """Prompts that have run."""

    def __init__(self, model: UnixForCausalLM, *, batch_invariant: bool) -> None:
        """With `batch_invariant` each runs alone, so that its numbers don't depend on the others."""
        self.model, self.batch_invariant = model, batch_invariant
        self._kept: dict[Ids, Prompt] = {}

    def run(self, wanted: Sequence[Ids]) -> dict[Ids, Prompt]:
        """Prompts by their ids; those that are kept don't run again."""
        missing = [ids for ids in dict.fromkeys(wanted) if ids not in self._kept]
        found = {ids: self._kept.pop(ids) for ids in dict.fromkeys(wanted) if ids in self._kept}
        for together in [[ids] for ids in missing] if self.batch_invariant else [missing] if missing else []:
            found |= zip(together, run_prompts(self.model, together), strict=True)
        self._kept |= found  # the newest stand last
        for ids in list(self._kept)[:-KEPT]:
            del self._kept[ids]
        return found


def run_prompts(model: UnixForCausalLM, prompts: Sequence[Sequence[int]]) -> list[Prompt]:
    """Prompts through the packed forward pass, all in one."""
    documents = Documents.of(prompts)
    batch = move_batch(build_batch([documents], model.config), model.device)
    kept: list[Tensor] = []
    hidden = model.model(**of_the_layers(batch), kept=kept)[batch["packed_rows"]]
    packed = [states[batch["packed_rows"]] for states in kept]
    seen = torch.from_numpy(is_vision(documents.input_ids, model.config)).to(model.device)
    ends = np.cumsum(documents.document_lengths).tolist()
    return [
        Prompt([states[begin:end] for states in packed], seen[begin:end], hidden[end - 1])
        for begin, end in zip([0, *ends], ends, strict=False)
    ]

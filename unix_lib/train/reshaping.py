"""A state for other processes than those that wrote it: another number of them, ZeRO stage or precision.

DeepSpeed's shards are laid out for the processes that wrote them. Here they are read as what they mean: of each trained
parameter its float32 weight and the two moments of AdamW, in pieces of which every process holds some. The tensors are
joined, cut as the new processes hold them, and given to DeepSpeed's own loader in its own layout.

DeepSpeed's universal checkpoints would not do (0.19): their loader gives all groups of parameters the weight decay
of the first under ZeRO 3, restores no frozen tensor, knows no other stage than the one that wrote them, and unpickles
files that the conversion writes without a hash. In memory this takes one parameter at a time; the shards are mapped.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unix_lib.train.state import Numerics

WEIGHT = "fp32"
MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's, by torch's names
KEYS = (WEIGHT, *MOMENTS)

Flat = Mapping[str, Tensor]  # of a group of parameters: the part of its flattened tensors that a process holds, by KEYS


class Layout(NamedTuple):
    """Where DeepSpeed has them under a ZeRO stage."""

    weights: str  # in a shard, and in what its optimizer gives and takes
    optimizer: str  # torch's own state, there
    flat: str  # attribute of its optimizer: the weights in memory, padded

    def groups(self, shard: Mapping[str, Any]) -> list[Flat]:
        """The tensors of a shard."""
        moments = shard[self.optimizer]["state"]
        return [{WEIGHT: weight, **moments[group]} for group, weight in enumerate(shard[self.weights])]


_SLICED = Layout("single_partition_of_fp32_groups", "base_optimizer_state", "single_partition_of_fp32_groups")
_PARTITIONED = Layout("fp32_flat_groups", "optimizer_state_dict", "fp32_partitioned_groups_flat")
LAYOUTS = {1: _SLICED, 2: _SLICED, 3: _PARTITIONED}  # by ZeRO stage


@dataclass(frozen=True)
class Piece:
    """Where a process holds which numbers of a parameter."""

    name: str
    group: int
    start: int  # in the flat tensor
    numel: int
    offset: int  # in the flattened parameter

    def of(self, groups: Sequence[Flat], key: str) -> Tensor:
        """The piece of one of the tensors: a view."""
        return groups[self.group][key].narrow(0, self.start, self.numel)


def partitioned_pieces(shapes: Sequence[Mapping[str, torch.Size]], rank: int, world_size: int) -> Iterator[Piece]:
    """Under ZeRO 3: each parameter in as many equal pieces as there are processes, the last ones padded."""
    for group, sizes in enumerate(shapes):
        start = 0
        for name, shape in sizes.items():
            part = ceil(shape.numel() / world_size)
            offset = min(rank * part, shape.numel())
            yield Piece(name, group, start, min(part, shape.numel() - offset), offset)
            start += part


class SavedTensors:
    """The tensors in a folder of DeepSpeed's files, by the names of the parameters."""

    def __init__(self, folder: Path, numerics: Numerics, optimized: Sequence[str]) -> None:
        """Map the files.

        Args:
            numerics: that they were written with.
            optimized: names of the trained parameters in the order of the optimizer's groups.
        """
        self.folder, self.numerics, self.optimized = folder, numerics, optimized

    def tensor(self, name: str, key: str) -> Tensor:
        """One of the `KEYS` of a trained parameter, float32, flat."""
        if not self.numerics.zero_stage:
            return self._whole(name, key).flatten()
        return torch.cat([piece.of(groups, key) for groups, piece in self._pieces[name]])

    def frozen(self, name: str) -> Tensor:
        """A parameter that is not trained, flat."""
        if self.numerics.zero_stage < 3:
            tensor: Tensor = self._models[0]["module"][name]
            return tensor.flatten()
        shape = self._models[0]["frozen_param_shapes"][name]
        return torch.cat([model["frozen_param_fragments"][name].flatten() for model in self._models])[: shape.numel()]

    @cached_property
    def _models(self) -> list[Any]:
        """What DeepSpeed keeps of the model: once, under ZeRO 3 by process."""
        return _mapped(self.folder, "*model_states.pt")

    def _whole(self, name: str, key: str) -> Tensor:
        if key == WEIGHT:
            weight: Tensor = self._models[0]["module"][name]
            return weight
        moments: dict[str, Tensor] = self._models[0]["optimizer"]["state"][self.optimized.index(name)]
        return moments[key]

    @cached_property
    def _pieces(self) -> dict[str, list[tuple[Sequence[Flat], Piece]]]:
        """By name the pieces of all processes, in order, with the tensors that they are of."""
        found: dict[str, list[tuple[Sequence[Flat], Piece]]] = defaultdict(list)
        shards = [saved["optimizer_state_dict"] for saved in _mapped(self.folder, "*optim_states.pt")]
        seen: Counter[str] = Counter()
        for rank, shard in enumerate(shards):
            groups = LAYOUTS[self.numerics.zero_stage].groups(shard)
            if self.numerics.zero_stage == 3:
                pieces = partitioned_pieces(self._models[0]["param_shapes"], rank, len(shards))
            else:
                pieces = _sliced_pieces(shard["param_slice_mappings"], seen)
            for piece in pieces:
                found[piece.name].append((groups, piece))
        return found


def _mapped(folder: Path, pattern: str) -> list[Any]:
    """DeepSpeed's files of a kind, in the order of the processes; they are mapped, not read."""

    def numbers(path: Path) -> list[int]:
        return [int(part) for part in path.name.split("_") if part.isdigit()]

    paths = sorted(folder.glob(pattern), key=numbers)
    return [torch.load(path, map_location="cpu", mmap=True, weights_only=False) for path in paths]


def _sliced_pieces(mappings: Sequence[Mapping[str, Any]], seen: "Counter[str]") -> Iterator[Piece]:
    """Under ZeRO 1 and 2: groups are cut anywhere. `seen` counts what earlier processes hold of each parameter."""
    for group, mapping in enumerate(mappings):
        for name, at in mapping.items():
            yield Piece(name, group, at.start, at.numel, seen[name])
            seen[name] += at.numel


def put_tensors(saved: SavedTensors, engine: Any, step: int) -> None:
    """Give DeepSpeed's engine the weights and the optimizer's state after a step; on all processes together."""
    from deepspeed.runtime.zero import GatheredParameters

    stage = engine.zero_optimization_stage()
    names: dict[Tensor, str] = engine.param_names
    with torch.no_grad():
        if stage == 0:
            _put_whole(saved, engine, step)
        elif stage == 3:
            rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
            pieces = partitioned_pieces(engine._get_zero_param_shapes(), rank, size)
            _put_pieces(saved, engine.optimizer, pieces, LAYOUTS[stage], step)
        else:
            pieces = _held_pieces(engine.optimizer.bit16_groups, names)
            _put_pieces(saved, engine.optimizer, pieces, LAYOUTS[stage], step)
            engine.optimizer.update_lp_params()
        trained = set(saved.optimized)
        for parameter in engine.module.parameters():
            if names[parameter] not in trained:
                with GatheredParameters([parameter], modifier_rank=0, enabled=stage == 3):
                    if stage < 3 or torch.distributed.get_rank() == 0:
                        parameter.copy_(saved.frozen(names[parameter]).view_as(parameter))
    engine.global_steps = step


def _put_whole(saved: SavedTensors, engine: Any, step: int) -> None:
    names = engine.param_names
    for group in engine.optimizer.param_groups:
        for parameter in group["params"]:
            of = {key: saved.tensor(names[parameter], key).view_as(parameter) for key in KEYS}
            parameter.copy_(of[WEIGHT])
            moments = {key: of[key].to(parameter.device, copy=True) for key in MOMENTS}
            engine.optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}


def _held_pieces(groups: Sequence[Sequence[Any]], names: Mapping[Tensor, str]) -> Iterator[Piece]:
    """What this process holds under ZeRO 1 and 2."""
    for group, parameters in enumerate(groups):
        for parameter in parameters:
            held = parameter._hp_mapping
            if held is not None:
                flat, whole = held.hp_fragment_address, held.lp_fragment_address
                yield Piece(names[parameter], group, flat.start, flat.numel, whole.start)


def _put_pieces(saved: SavedTensors, optimizer: Any, pieces: Iterator[Piece], layout: Layout, step: int) -> None:
    """Fill a state of this process's in DeepSpeed's layout, and have DeepSpeed load it."""
    groups = [{key: torch.zeros_like(weight) for key in KEYS} for weight in getattr(optimizer, layout.flat)]
    for piece in pieces:
        for key in KEYS:
            piece.of(groups, key).copy_(saved.tensor(piece.name, key).narrow(0, piece.offset, piece.numel))
    state = optimizer.state_dict()
    state[layout.weights] = [group[WEIGHT] for group in groups]
    state[layout.optimizer]["state"] = {
        index: {"step": torch.tensor(float(step))} | {key: group[key] for key in MOMENTS}
        for index, group in enumerate(groups)
    }
    everywhere = [state] * torch.distributed.get_world_size()
    optimizer.load_state_dict(everywhere, load_optimizer_states=True, load_from_fp32_weights=True)

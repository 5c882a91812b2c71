"""One decoding step of the rows of an engine, by modality; on a GPU recorded once and replayed, where asked for.

Everything that a step reads or changes lies in tensors that stay where they are, so that a recorded step can be
replayed. That path has not been run on a GPU yet; the same steps run unrecorded on the CPU.

Legend: R rows, n of them in a step, D width, E head width, V rows of a head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unix_lib.inference.slots import Prompt, Slots
from unix_lib.inference.weights import BranchWeights
from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.layers import Route, rotary


class _StepRoute(Route):
    """The same for a few tokens, in place; cosine and sine (n, 1, E) stand for both halves, the first sine negative."""

    def rotate(self, states: Tensor, key_value_heads: int) -> Tensor:
        turned = states[:, :-key_value_heads]
        swapped = turned.roll(turned.shape[-1] // 2, -1)
        turned.mul_(self.cosine).addcmul_(swapped, self.sine)
        return states


class Steps:
    """Rows being continued, one token each at a time."""

    def __init__(self, model: UnixForCausalLM, rows: int, *, cuda_graph: bool) -> None:
        """Nothing is computed yet.

        Raises:
            ModelError: a graph without a GPU.
        """
        if cuda_graph and model.device.type != "cuda":
            raise ModelError(f"cuda_graph needs the model on a GPU, and it is on {model.device}; leave it out")
        device = model.device
        self.model, self.slots, self.weights = model, Slots(model, rows), BranchWeights(model, rows)
        self.hidden = torch.zeros(rows, model.config.hidden_size, dtype=model.dtype, device=device)
        self._ids = torch.zeros(rows, dtype=torch.long, device=device)
        self._active = torch.zeros(rows, dtype=torch.bool, device=device)
        self._width_of = torch.zeros(rows, dtype=torch.long, device=device)
        self._turns = self.hidden  # cosine and sine of every position, (C + 1, 1, 2 E), once there is room for any
        self._graphs: dict[object, torch.cuda.CUDAGraph] | None = {} if cuda_graph else None

    def reserve(self, scopes: Sequence[str], columns: int) -> None:
        """Make room for sequences of `columns` tokens, some of them in the caches of these scopes."""
        if self.slots.reserve(scopes, columns):
            config, positions = self.model.config, torch.arange(self.slots.capacity + 1, device=self.model.device)
            cosine, sine = rotary(positions, config.head_dim, config.rope_theta, self.model.dtype)
            self._turns = torch.cat([cosine, cosine, -sine, sine], -1)
            if self._graphs is not None:
                self._graphs = {}

    def begin(self, row: int, prompt: Prompt, width: int) -> None:
        """Let a row begin with a prompt, and see `width` columns where rows see different ones."""
        self.slots.fill(row, prompt)
        self.hidden[row], self._width_of[row] = prompt.hidden, width

    def step(self, ids: dict[int, int], vision: bool, rows: int, widths: Sequence[int]) -> None:
        """Feed the next token of some rows; their new states are in `hidden`, normed for the head.

        Args:
            ids: by row; all of one modality.
            rows: n, how many take part; those without an id come to nothing.
            widths: columns that are looked at, one for all rows or several, of which each row has its own.
        """
        fed = torch.tensor([ids.get(row, -1) for row in range(rows)], device=self.model.device)
        torch.clamp(fed, min=0, out=self._ids[:rows])
        torch.ge(fed, 0, out=self._active[:rows])
        if self._graphs is None:
            self._advance(vision, rows, widths)
        else:
            self._replay(self._graphs, vision, rows, tuple(widths))

    def logits(self, vision: bool, rows: int) -> Tensor:
        """Of the first n rows for what may come next: text tokens, or image codes; float32, (n, V)."""
        return self.weights.head(vision)(self.hidden[:rows]).float()

    def _advance(self, vision: bool, rows: int, widths: Sequence[int]) -> None:
        active = self._active[:rows]
        positions, windows = self.slots.windows(vision, active, widths, self._width_of[:rows])
        joint, within = (self.slots.layout(scope, widths, window) for scope, window in windows.items())
        cosine, sine = self._turns.index_select(0, positions).chunk(2, dim=-1)
        route = _StepRoute(
            sizes=(0, rows) if vision else (rows, 0),
            cosine=cosine,
            sine=sine,
            layouts={"joint": joint, "within_modality": within},
        )
        hidden = self.model.model.embed_tokens(self._ids[:rows])
        for layer in self.weights.layers(vision):
            hidden = layer.forward(hidden, route)
        hidden = self.weights.norm(hidden)
        self.hidden[:rows] = torch.where(active[:, None], hidden, self.hidden[:rows])

    def _replay(
        self, graphs: dict[object, torch.cuda.CUDAGraph], vision: bool, rows: int, widths: tuple[int, ...]
    ) -> None:
        if (vision, rows, widths) not in graphs:
            # One step before the recording, as CUDA graphs ask for; what it changed is put back.
            state = [self.hidden, *self.slots.filled.values()]
            before = [tensor.clone() for tensor in state]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._advance(vision, rows, widths)
            torch.cuda.current_stream().wait_stream(side)
            for tensor, value in zip(state, before, strict=True):
                tensor.copy_(value)
            graph = graphs[vision, rows, widths] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._advance(vision, rows, widths)
        graphs[vision, rows, widths].replay()

"""Continues many sequences token by token, with caches of keys and values.

The prompts run once through the packed forward pass; equal prompts once together. After that every sequence gets one
token per step, all of the same modality, so a step runs one branch of each layer. A separated layer keeps a cache per
modality, and only of those that new tokens will have. Caches are allocated once, for the whole length.

On a GPU a step of a small batch is bound by the launching of its kernels; `cuda_graph` records a step once per modality
and replays it. That path has not been run on a GPU yet; its arithmetic (`GraphColumns`) is tested on the CPU.

Legend: R sequences, U distinct prompts, T prompt tokens, D width, K key and value heads, G query heads per key head,
E head width, C columns of a cache.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unix_lib.generate.columns import Columns, GraphColumns
from unix_lib.models.attention import rotate
from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM, of_the_layers
from unix_lib.models.layers import DecoderLayer, rotary
from unix_lib.models.routing import Documents, build_batch, is_vision, move_batch


def check_prompt(prompt: Sequence[int], new_tokens: int, positions: int) -> None:
    """Refuse a prompt that can't be continued.

    Raises:
        ModelError: it is empty, or it and the new tokens exceed the model's positions, for which caches are made.
    """
    if not prompt:
        raise ModelError("an empty prompt can't be continued; give at least one token")
    if len(prompt) + new_tokens > positions:
        raise ModelError(
            f"a prompt of {len(prompt)} tokens and {new_tokens} new ones exceed the model's {positions} positions; "
            "shorten the prompt or ask for fewer tokens"
        )


class Decoding:
    """Sequences being continued, one token each at a time."""

    def __init__(
        self,
        model: UnixForCausalLM,
        prompts: Sequence[Sequence[int]],
        *,
        text: int = 0,
        vision: int = 0,
        cuda_graph: bool = False,
    ) -> None:
        """Run the prompts.

        Args:
            prompts: R prompts of any lengths, text and image ids mixed.
            text, vision: steps with text and with vision tokens that the caches must hold, in any order.
            cuda_graph: record a step once and replay it.

        Raises:
            ModelError: an empty prompt, one that is too long for the model's positions, or a graph without a GPU.
        """
        if cuda_graph and model.device.type != "cuda":
            raise ModelError(f"cuda_graph needs the model on a GPU, and it is on {model.device}; leave it out")
        self.model = model
        self.hidden: Tensor  # (R, D), of each sequence's newest token, normed for the head
        room = {"joint": text + vision, "text": text, "vision": vision}
        self._columns = GraphColumns if cuda_graph else Columns
        self._fill(prompts, room)
        self._graphs: dict[bool, _RecordedStep] | None = {} if cuda_graph else None

    def _fill(self, prompts: Sequence[Sequence[int]], room: dict[str, int]) -> None:
        """Run the prompts and allocate the caches, which begin with the prompts' keys and values."""
        model, device = self.model, self.model.device
        distinct = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
        for ids in distinct:
            check_prompt(ids, room["joint"], model.config.max_position_embeddings)
        place = {ids: index for index, ids in enumerate(distinct)}
        rows = torch.tensor([place[tuple(ids)] for ids in prompts], device=device)

        documents = Documents.of(distinct)
        batch = move_batch(build_batch([documents], model.config), device)
        kept: list[Tensor] = []  # (T, 2 K, E) of each layer
        hidden = model.model(**of_the_layers(batch), kept=kept)
        lengths = torch.from_numpy(documents.document_lengths.astype(np.int64)).to(device)
        self.hidden = hidden[batch["packed_rows"][lengths.cumsum(0) - 1]][rows]
        self._positions = lengths[rows]

        of_prompt = torch.repeat_interleave(torch.arange(len(distinct), device=device), lengths)  # (T,)
        is_seen = torch.from_numpy(is_vision(documents.input_ids, model.config)).to(device)
        members = {"joint": torch.ones_like(is_seen), "text": ~is_seen, "vision": is_seen}
        self._scopes: dict[str, Columns] = {}
        places: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        for scope, chosen in members.items():
            prompt = of_prompt[chosen]
            counts = torch.bincount(prompt, minlength=len(distinct))
            columns = self._columns(counts[rows], room[scope], hidden.dtype)
            before = counts.cumsum(0) - counts
            column = torch.arange(len(prompt), device=device) - before[prompt] + (columns.prompts - counts)[prompt]
            self._scopes[scope] = columns
            places[scope] = (batch["packed_rows"][chosen], prompt, column)

        self._caches: list[dict[str, Tensor]] = []  # by scope, (R, 2 K, C, E)
        for layer, states in zip(model.model.layers, kept, strict=True):
            caches = {}
            for scope in ("joint",) if layer.plan.attention_scope == "joint" else ("text", "vision"):
                if room[scope] == 0:
                    continue
                tokens, prompt, column = places[scope]
                shape = (len(distinct), states.shape[1], self._scopes[scope].capacity, states.shape[2])
                filled = states.new_zeros(shape)
                filled[prompt, :, column] = states[tokens]
                caches[scope] = filled[rows]
            self._caches.append(caches)

    def step(self, ids: Tensor, *, vision: bool) -> Tensor:
        """Feed the next token of every sequence, (R,), and get its hidden state, (R, D), normed for the head.

        Args:
            vision: whether these are vision tokens (image codes, `<|vision_start|>`) or text.
        """
        if self._graphs is None:
            self.hidden = self._advance(ids, vision)
        else:
            if vision not in self._graphs:
                self._graphs[vision] = _RecordedStep(self, ids, vision)
            self.hidden = self._graphs[vision](ids)
        return self.hidden

    def _advance(self, ids: Tensor, vision: bool) -> Tensor:
        config, own = self.model.config, "vision" if vision else "text"
        hidden = self.model.model.embed_tokens(ids)
        cosine, sine = rotary(self._positions, config.head_dim, config.rope_theta, hidden.dtype)
        for scope in ("joint", own):
            self._scopes[scope].begin()
        for layer, caches in zip(self.model.model.layers, self._caches, strict=True):
            scope = "joint" if layer.plan.attention_scope == "joint" else own
            hidden = _layer_step(
                layer, hidden, cosine, sine, columns=self._scopes[scope], cache=caches[scope], vision=vision
            )
        self._positions += 1
        for scope in ("joint", own):
            self._scopes[scope].advance()
        normed: Tensor = self.model.model.norm(hidden)
        return normed

    def state(self) -> list[Tensor]:
        """What a step changes beside the caches, on the device."""
        return [self._positions, *(tensor for columns in self._scopes.values() for tensor in columns.state)]


def _layer_step(
    layer: DecoderLayer,
    hidden: Tensor,
    cosine: Tensor,
    sine: Tensor,
    *,
    columns: Columns,
    cache: Tensor,
    vision: bool,
) -> Tensor:
    """One layer for one token of every sequence, (R, D) to (R, D)."""
    norm, attention = layer.attention_of(vision)
    key_value_heads = layer.key_value_heads
    states = rotate(attention.project(norm(hidden)), cosine, sine, key_value_heads)
    seen, mask = columns.put(cache, states[:, -2 * key_value_heads :])
    keys, values = seen.split(key_value_heads, dim=1)
    # The query heads of one key head stand where a sequence of queries would: (R, K, G, E).
    queries = states[:, : -2 * key_value_heads].unflatten(1, (key_value_heads, -1))
    attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    hidden = hidden + attention.o_proj(attended.flatten(1))
    norm, ffn = layer.ffn_of(vision)
    return hidden + ffn(norm(hidden))


class _RecordedStep:
    """A step as a CUDA graph: kernels recorded once, then launched together. Not run on a GPU yet."""

    def __init__(self, decoding: Decoding, ids: Tensor, vision: bool) -> None:
        self.ids = ids.clone()
        # One step before the recording, as CUDA graphs ask for; what it changed is put back.
        before = [tensor.clone() for tensor in decoding.state()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            decoding._advance(self.ids, vision)
        torch.cuda.current_stream().wait_stream(side)
        for tensor, value in zip(decoding.state(), before, strict=True):
            tensor.copy_(value)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.hidden = decoding._advance(self.ids, vision)

    def __call__(self, ids: Tensor) -> Tensor:
        self.ids.copy_(ids)
        self.graph.replay()
        return self.hidden

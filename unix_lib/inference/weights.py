"""A model's layers as decoding runs them: those of one modality, with weights laid out for few rows.

On a CPU the matrix products of a few rows are bound by reading weights, where oneDNN's blocked layout reads several
times as fast as the usual one (docs/benchmarks.md). The weights that are laid out are a second copy.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from unix_lib.config.models import LayerPlan
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.layers import Attention, DecoderLayer, FeedForward, LayerMaths, RMSNorm

Product = Callable[[Tensor], Tensor]


def product(weight: Tensor, bias: Tensor | None, rows: int) -> Product:
    """`x @ weight.T + bias` for x of about `rows` rows, by the fastest kernel of the weight's device."""
    blocked = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.bfloat16) and _has_onednn()
    if not blocked:
        return lambda x: functional.linear(x, weight, bias)
    laid_out, multiply = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows), torch.ops.mkldnn
    return lambda x: multiply._linear_pointwise(x, laid_out, bias, "none", [], "")


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _Norm:
    """`RMSNorm` in fewer operations."""

    def __init__(self, norm: RMSNorm) -> None:
        self.weight, self.wide = norm.weight.detach(), torch.promote_types(norm.weight.dtype, torch.float32)
        self.eps = torch.tensor(norm.eps, dtype=self.wide, device=self.weight.device)

    def __call__(self, hidden: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=self.wide)
        scale = torch.addcmul(self.eps, length, length, value=1 / hidden.shape[-1]).rsqrt_()
        return (hidden * scale).to(hidden.dtype).mul_(self.weight)


class _Attention:
    """`Attention` with one product for queries, keys and values."""

    def __init__(self, attention: Attention, *, rows: int) -> None:
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        biases: list[Tensor] = [part.bias.detach() for part in parts if part.bias is not None]
        weight: Tensor = torch.cat([part.weight.detach() for part in parts])
        self.head_dim = attention.head_dim
        self.heads = attention.q_proj.out_features // self.head_dim
        self.queries_and_keys = self.heads + attention.k_proj.out_features // self.head_dim
        self.together = product(weight, torch.cat(biases) if biases else None, rows)
        self.o_proj = product(attention.o_proj.weight.detach(), None, rows)
        normed = attention.q_norm is not None and attention.k_norm is not None
        self.q_norm = _Norm(attention.q_norm) if normed else None  # type: ignore[arg-type]
        self.k_norm = _Norm(attention.k_norm) if normed else None  # type: ignore[arg-type]

    def project(self, hidden: Tensor) -> Tensor:
        """See `Attention.project`."""
        states = self.together(hidden).view(len(hidden), -1, self.head_dim)
        if self.q_norm is not None and self.k_norm is not None:
            states[:, : self.heads] = self.q_norm(states[:, : self.heads])
            keys = states[:, self.heads : self.queries_and_keys]
            states[:, self.heads : self.queries_and_keys] = self.k_norm(keys)
        return states


class _FeedForward:
    """`FeedForward`s whose changes are added, as one: the gates of all in one product, and so on."""

    def __init__(self, *parts: FeedForward, rows: int) -> None:
        gates = [part.gate_proj.weight.detach() for part in parts]
        ups = [part.up_proj.weight.detach() for part in parts]
        self.gate_up = product(torch.cat([*gates, *ups]), None, rows)
        self.down = product(torch.cat([part.down_proj.weight.detach() for part in parts], dim=1), None, rows)

    def __call__(self, hidden: Tensor) -> Tensor:
        gate, up = self.gate_up(hidden).chunk(2, dim=-1)
        return self.down(functional.silu(gate).mul_(up))


class BranchLayer(LayerMaths):
    """A layer as one modality's tokens pass it: its plan shares everything, its weights are that modality's.

    No module: finding and calling modules takes as long as the small operations between two matrix products.
    """

    def __init__(
        self, layer: DecoderLayer, norms: tuple[_Norm, _Norm], attention: _Attention, ffn: _FeedForward
    ) -> None:
        """`norms` are those before the attention and before the feed-forward layer."""
        self.plan, self.key_value_heads = LayerPlan(attention_scope=layer.plan.attention_scope), layer.key_value_heads
        self.input_layernorm, self.post_attention_layernorm = norms
        self.self_attn, self.mlp = attention, ffn


class BranchWeights:
    """What the tokens of each modality pass, laid out when first needed; what both share is laid out once."""

    def __init__(self, model: UnixForCausalLM, rows: int) -> None:
        """`rows` is about how many tokens a step has."""
        self.model, self.rows = model, rows
        self.norm = _Norm(model.model.norm)
        self._layers: dict[bool, list[BranchLayer]] = {}
        self._heads: dict[bool, Product] = {}
        self._attentions: dict[nn.Module, _Attention] = {}
        self._ffns: dict[tuple[nn.Module, ...], _FeedForward] = {}

    def head(self, vision: bool) -> Product:
        """Hidden states (n, D) to logits of the image codes, or of the text ids."""
        if vision not in self._heads:
            config, weight = self.model.config, self.model.lm_head.weight.detach()
            rows = config.image_rows if vision else slice(0, config.text_size)
            self._heads[vision] = product(weight[rows], None, self.rows)
        return self._heads[vision]

    def layers(self, vision: bool) -> list[BranchLayer]:
        """The layers that one modality's tokens pass, each without copies for the other."""
        if vision not in self._layers:
            self._layers[vision] = [self._alone(layer, vision) for layer in self.model.model.layers]
        return self._layers[vision]

    def _alone(self, layer: DecoderLayer, vision: bool) -> BranchLayer:
        (norm, attention), (ffn_norm, parts) = layer.attention_of(vision), layer.ffn_of(vision)
        if attention not in self._attentions:
            self._attentions[attention] = _Attention(attention, rows=self.rows)
        if tuple(parts) not in self._ffns:
            self._ffns[tuple(parts)] = _FeedForward(*parts, rows=self.rows)
        norms = _Norm(norm), _Norm(ffn_norm)
        return BranchLayer(layer, norms, self._attentions[attention], self._ffns[tuple(parts)])

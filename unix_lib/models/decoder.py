"""The decoder as a Hugging Face model: embedding, the layers of the plan, final norm, head and loss.

Two ways in. The packed path takes a batch from `unix_lib.models.routing.build_batch` (flat tokens, all index tensors
ready), never waits for the device and serves training. The plain path takes `input_ids (B, T)` and an `attention_mask`
as any Hugging Face caller gives them, builds the routing inside and returns logits (B, T, V); it serves lm-eval and,
with Hugging Face's cache (`unix_lib.models.hugging_face_cache`), `generate()` (`...hugging_face_generation`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.utils.generic import ModelOutput, can_return_tuple

from unix_lib.models.attention import Layout, SelectRows
from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.hugging_face_cache import cached_batch, token_positions
from unix_lib.models.hugging_face_generation import UnixGenerationMixin
from unix_lib.models.layers import DecoderLayer, RMSNorm, Route, rotary
from unix_lib.models.loss import summed_cross_entropy
from unix_lib.models.routing import Batch, Documents, build_batch, check_ids, is_image_target, move_batch

NO_TARGET = -100  # in Hugging Face's labels


@dataclass
class UnixOutput(ModelOutput):
    """Losses in nats. Sums and counts are detached scalars; the modality is the target's."""

    loss: Tensor | None = None  # sum over targets / number of targets, or / num_items_in_batch
    logits: Tensor | None = None  # (T, V) in the packs' order, or (B, T, V)
    loss_text_sum: Tensor | None = None
    loss_image_sum: Tensor | None = None
    targets_text: Tensor | None = None
    targets_image: Tensor | None = None
    target_losses: Tensor | None = None  # (R,), detached, in the order of the batch's `targets`
    past_key_values: Cache | None = None  # plain path, where asked for


class UnixPreTrainedModel(PreTrainedModel):
    """What transformers needs to know about the model."""

    config: UnixConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["DecoderLayer"]  # noqa: RUF012
    _supports_sdpa = True

    def _init_weights(self, module: nn.Module) -> None:
        """Qwen's initialisation: normal matrices, zero biases, norms of one."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, RMSNorm):
            nn.init.ones_(module.weight)


class UnixModel(UnixPreTrainedModel):
    """Embedding, layers and final norm."""

    def __init__(self, config: UnixConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, plan) for plan in config.plans)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        *,
        text_positions: Tensor,
        vision_positions: Tensor,
        joint: Layout,
        within: Layout,
        kept: list[Tensor] | None = None,
    ) -> Tensor:
        """Flat tokens (T,) to normed hidden states (T, D), both in modality order.

        `kept`, where given, collects every layer's rotated keys and values, (T, 2 K, E).
        """
        hidden = self.embed_tokens(input_ids)
        cosine, sine = rotary(
            torch.cat([text_positions, vision_positions]), self.config.head_dim, self.config.rope_theta, hidden.dtype
        )
        route = Route(
            sizes=(text_positions.shape[0], vision_positions.shape[0]),
            cosine=cosine,
            sine=sine,
            layouts={"joint": joint, "within_modality": within},
            kept=kept,
        )
        for layer in self.layers:
            hidden = layer(hidden, route)
        normed: Tensor = self.norm(hidden)
        return normed


class UnixForCausalLM(UnixGenerationMixin, UnixPreTrainedModel):
    """The decoder with its head."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012
    accepts_loss_kwargs = True

    def __init__(self, config: UnixConfig) -> None:
        super().__init__(config)
        self.model = UnixModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        text_positions: Tensor | None = None,
        vision_positions: Tensor | None = None,
        joint: Layout | None = None,
        within: Layout | None = None,
        target_rows: Tensor | None = None,
        targets: Tensor | None = None,
        target_is_image: Tensor | None = None,
        packed_rows: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        return_logits: bool = False,
        past_key_values: Cache | None = None,
        use_cache: bool | None = False,
        position_ids: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **unsupported: Any,
    ) -> UnixOutput:
        """Losses of a batch of `build_batch`, or logits of plain `input_ids (B, T)`.

        Args:
            input_ids: (T,) with the other tensors of `build_batch`, or (B, T) alone.
            attention_mask: (B, T), plain path: 0 marks padding, left or right, whose logits mean nothing.
            labels: (B, T), plain path: what to predict at each place from those before it, unshifted, -100 where
                nothing, as Hugging Face has it. A label right behind padding counts as little as a row's first.
            num_items_in_batch: targets of the whole optimizer step, where it spans several batches.
            return_logits: packed path: also give logits (T, V) in the packs' order.
            past_key_values, use_cache: plain path: Hugging Face's cache, and whether to make one. With a cache,
                `input_ids` are the tokens after those in it, and `attention_mask` covers both.
            position_ids: (B, T) or (1, T), plain path: checked only, as positions count from a row's first token.
            logits_to_keep: plain path: logits of this many last places only, 0 keeps all; or the places, (k,).
            unsupported: what transformers passes to models in general; None and False are taken.

        Raises:
            ModelError: ids or labels that name no token, labels beside a cache, shapes that don't fit, other positions
                than the model's, or an argument that it can't honour.
        """
        for name, value in unsupported.items():
            if value is not None and value is not False:
                raise ModelError(f"argument '{name}' isn't supported by this model; leave it out")
        if input_ids is None or (input_ids.dim() != 2 and joint is None):
            given = "missing" if input_ids is None else tuple(input_ids.shape)
            raise ModelError(f"input_ids is {given}; give token ids (B, T), or a batch of build_batch")
        if input_ids.dim() == 2:
            return self._plain(
                input_ids,
                attention_mask,
                labels,
                num_items_in_batch=num_items_in_batch,
                cache=DynamicCache(config=self.config) if use_cache and past_key_values is None else past_key_values,
                position_ids=position_ids,
                logits_to_keep=logits_to_keep,
            )
        hidden = self.model(
            input_ids,
            text_positions=text_positions,
            vision_positions=vision_positions,
            joint=joint,
            within=within,
        )
        output = UnixOutput()
        if targets is not None:
            self._losses(output, SelectRows.apply(hidden, target_rows), targets, target_is_image, num_items_in_batch)
        if return_logits:
            output.logits = self.lm_head(hidden.index_select(0, packed_rows))
        return output

    def _losses(
        self,
        output: UnixOutput,
        hidden: Tensor,
        targets: Tensor,
        is_image: Tensor | None,
        num_items_in_batch: Tensor | int | None,
    ) -> None:
        """Fill in the losses of rows (R, D)."""
        total, losses = summed_cross_entropy(hidden, self.lm_head.weight, targets)
        images = is_image.to(losses.dtype)  # type: ignore[union-attr]
        output.loss = total / (max(1, targets.shape[0]) if num_items_in_batch is None else num_items_in_batch)
        output.target_losses = losses
        output.loss_image_sum = (losses * images).sum()
        output.loss_text_sum = losses.sum() - output.loss_image_sum
        output.targets_image = images.sum()
        output.targets_text = targets.shape[0] - output.targets_image

    def _plain(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        labels: Tensor | None,
        *,
        num_items_in_batch: Tensor | int | None,
        cache: Cache | None,
        position_ids: Tensor | None,
        logits_to_keep: int | Tensor,
    ) -> UnixOutput:
        """The plain path of `forward`."""
        if labels is not None and cache is not None:
            raise ModelError("labels and a cache don't go together; call with use_cache=False to get a loss")
        if cache is not None and cache.is_compileable:
            raise ModelError("a cache of fixed size doesn't serve here; leave cache_implementation out")
        if input_ids.numel() == 0:
            raise ModelError(f"input_ids is {tuple(input_ids.shape)}; give at least one token")
        batch, new = input_ids.shape
        total = new + (0 if cache is None else cache.get_seq_length())
        if attention_mask is None:
            attention_mask = input_ids.new_ones(batch, total)
        _require_shape("attention_mask", attention_mask, (batch, total))
        real = attention_mask != 0
        if position_ids is not None:
            _require_positions(position_ids, real, new)
        if cache is not None:
            inputs = cached_batch(self.config, input_ids, real, cache)
            hidden = self.model(**of_the_layers(inputs))[inputs["packed_rows"]].unflatten(0, (batch, new))
            return UnixOutput(logits=self.lm_head(_kept(hidden, logits_to_keep)), past_key_values=cache)

        ids, is_real = input_ids.cpu().numpy(), real.cpu().numpy()
        pack = Documents(ids[is_real], np.zeros(is_real.sum(), dtype=bool), is_real.sum(1).astype(np.int32))
        inputs = move_batch(build_batch([pack], self.config), input_ids.device)
        hidden = self.model(**of_the_layers(inputs))
        output = UnixOutput()
        if labels is not None:
            _require_shape("labels", labels, input_ids.shape)
            predicting = torch.zeros_like(real)
            predicting[:, :-1] = real[:, :-1] & (labels[:, 1:] != NO_TARGET)
            targets = labels[:, 1:][predicting[:, :-1]]
            check_ids(targets.cpu().numpy(), self.config)
            rows = SelectRows.apply(hidden, inputs["packed_rows"][predicting[real]])
            images = torch.from_numpy(is_image_target(targets.cpu().numpy(), self.config)).to(targets.device)
            self._losses(output, rows, targets, images, num_items_in_batch)
        hidden = hidden[inputs["packed_rows"]]
        if real.all():
            hidden = hidden.unflatten(0, (batch, new))
        else:
            hidden = hidden.new_zeros(batch, new, hidden.shape[1]).index_put((real,), hidden)
        output.logits = self.lm_head(_kept(hidden, logits_to_keep))
        return output


def of_the_layers(batch: Batch) -> Batch:
    """The part of a batch that `UnixModel.forward` takes."""
    return {name: batch[name] for name in ("input_ids", "text_positions", "vision_positions", "joint", "within")}


def _kept(hidden: Tensor, logits_to_keep: int | Tensor) -> Tensor:
    """The places of (B, T, D) whose logits are wanted."""
    return hidden[:, slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep]


def _require_shape(name: str, array: Tensor, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ModelError(
            f"{name} is {tuple(array.shape)}, cached and new tokens are {tuple(shape)}; give one value for each of them"
        )


def _require_positions(position_ids: Tensor, real: Tensor, new: int) -> None:
    """Refuse positions of the new tokens, (B, N) or (1, N), that are not the model's; those of padding don't matter."""
    counted = token_positions(real)[:, -new:]
    if position_ids.dim() != 2 or position_ids.shape[0] not in (1, real.shape[0]) or position_ids.shape[1] != new:
        raise ModelError(
            f"position_ids is {tuple(position_ids.shape)}, tokens are {tuple(counted.shape)}; leave it out"
        )
    wrong = ((position_ids != counted) & real[:, -new:]).nonzero()
    if len(wrong):
        row, place = wrong[0].tolist()
        given = position_ids.expand_as(counted)[row, place]
        raise ModelError(
            f"position_ids has {given} in row {row} at {place}, where this model counts {counted[row, place]}; leave "
            "it out: positions count from a row's first token, and documents that share a row would see each other "
            "(unix_lib.models.routing.build_batch packs them)"
        )

"""The decoder: embedding, the layers of the plan, final norm, head and loss, as a Hugging Face model.

Two ways in. The hot path takes a batch from `unix_lib.models.routing.build_batch` (flat tokens, all index tensors
ready) and never waits for the device. The plain path takes `input_ids (B, T)` and an `attention_mask` as any Hugging
Face caller gives them, builds the routing inside and returns logits (B, T, V); it serves lm-eval. With Hugging Face's
cache it goes through `unix_lib.models.hugging_face_cache` and serves `generate()`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers.utils import ModelOutput

from unix_lib.models.attention import Layout, SelectRows
from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.hugging_face_cache import continued
from unix_lib.models.layers import DecoderLayer, RMSNorm, Route, rotary
from unix_lib.models.loss import summed_cross_entropy
from unix_lib.models.routing import Documents, build_batch, move_batch


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

    config_class = UnixConfig
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
        return self.norm(hidden)


class UnixForCausalLM(UnixPreTrainedModel, GenerationMixin):
    """The decoder with its head."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012
    accepts_loss_kwargs = True

    def __init__(self, config: UnixConfig) -> None:
        super().__init__(config)
        self.model = UnixModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
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
        use_cache: bool = False,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> UnixOutput:
        """Losses of a batch of `build_batch`, or logits of plain `input_ids (B, T)`.

        Args:
            input_ids: (T,) with the other tensors of `build_batch`, or (B, T) alone.
            attention_mask: (B, T), plain path: 0 marks padding, left or right.
            labels: (B, T), plain path: as Hugging Face has it, unshifted, -100 is no target.
            num_items_in_batch: targets of the whole optimizer step, where it spans several batches.
            return_logits: packed path: also give logits (T, V) in the packs' order.
            past_key_values, use_cache: plain path: Hugging Face's cache, and whether to make one. With a cache,
                `input_ids` are the tokens after those in it, and `attention_mask` covers both.
            logits_to_keep: plain path with a cache: logits of this many last positions only; 0 keeps all.

        Raises:
            ModelError: ids outside the vocabulary, labels beside a cache, or a mask that doesn't fit the cache.
        """
        if past_key_values is not None or use_cache:
            if labels is not None:
                raise ModelError("labels and a cache don't go together; call with use_cache=False to get a loss")
            cache = DynamicCache(config=self.config) if past_key_values is None else past_key_values
            hidden = continued(self.model, input_ids, attention_mask, cache)[:, -logits_to_keep:]
            return UnixOutput(logits=self.lm_head(hidden), past_key_values=cache)
        if input_ids.dim() == 2:
            return self._plain(input_ids, attention_mask, labels, num_items_in_batch)
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
        num_items_in_batch: Tensor | int | None,
    ) -> UnixOutput:
        ids = input_ids.cpu().numpy()
        real = np.ones(ids.shape, dtype=bool) if attention_mask is None else attention_mask.cpu().numpy() != 0
        targets = np.zeros(ids.shape, dtype=bool) if labels is None else labels.cpu().numpy() != -100
        packs = [Documents(ids[real], targets[real], real.sum(1).astype(np.int32))]
        batch = move_batch(build_batch(packs, self.config), input_ids.device)
        if labels is None:
            del batch["targets"]
        output = self.forward(**batch, num_items_in_batch=num_items_in_batch, return_logits=True)
        assert output.logits is not None
        if real.all():  # no second copy of what may be gigabytes
            output.logits = output.logits.unflatten(0, ids.shape)
            return output
        logits = output.logits.new_zeros(*ids.shape, output.logits.shape[-1])
        logits[torch.from_numpy(real).to(logits.device)] = output.logits
        output.logits = logits
        return output

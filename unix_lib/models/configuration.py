"""The decoder's config for transformers: Qwen's fields, the table of layer plans, the vocabulary's ranges.

Stored as `config.json` beside the weights, so a checkpoint carries its architecture and its vocabulary with it.
"""

from typing import Any

from transformers import PreTrainedConfig

from unix_lib.artefacts.errors import UserError
from unix_lib.config.models import LayerPlan

# What a Qwen2 or Qwen3 config and a `UnixConfig` both have, by the same names.
QWEN_FIELDS = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("max_position_embeddings", "initializer_range", "rms_norm_eps", "tie_word_embeddings"),
)


class ModelError(UserError):
    """A model that can't be built, loaded or used as asked; the message says why and what to do."""


class UnixConfig(PreTrainedConfig):
    """A Qwen2 or Qwen3 decoder with a layer plan per layer and image codes after the padded text vocabulary."""

    model_type = "unix"
    keys_to_ignore_at_inference = [  # noqa: RUF012  # the Trainer's evaluation appends to it
        "loss_text_sum",
        "loss_image_sum",
        "targets_text",
        "targets_image",
        "target_losses",
        "past_key_values",
    ]

    # Decoder, named as in transformers' Qwen2Config and Qwen3Config.
    vocab_size: int = 1216
    hidden_size: int = 128
    intermediate_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 0  # 0: hidden_size / num_attention_heads
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    attention_bias: bool = True  # of q, k and v, as in Qwen2; Qwen3 has none
    query_key_norm: bool = False  # as in Qwen3
    tie_word_embeddings: bool = True
    use_cache: bool = True
    # Architecture: one LayerPlan per layer as plain values; None is the shared transformer.
    layer_plan: list[dict[str, str | int]] | None = None
    architecture: str = "shared"
    # Vocabulary: text ids 0..text_size, unused up to padded_text_size, then the image codes.
    text_size: int = 1024
    padded_text_size: int = 1088
    image_offset: int = 1088
    codebook_size: int = 128
    codes_per_image: int = 64
    vision_start_id: int = 0
    vision_end_id: int = 1
    separator_id: int | None = None  # follows every `separator_every` codes of an image, where there are separators
    separator_every: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.head_dim = self.head_dim or self.hidden_size // self.num_attention_heads
        if self.layer_plan is None:
            self.layer_plan = [LayerPlan().as_dict()] * self.num_hidden_layers
        if len(self.layer_plan) != self.num_hidden_layers:
            raise ModelError(
                f"config.json: layer_plan has {len(self.layer_plan)} rows for {self.num_hidden_layers} layers; "
                "the checkpoint is damaged, make it again"
            )
        if self.vocab_size < self.image_offset + self.codebook_size:
            raise ModelError(
                f"config.json: vocab_size {self.vocab_size} does not hold the image codes, which end at "
                f"{self.image_offset + self.codebook_size}; the checkpoint belongs to another vocabulary"
            )
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]

    def to_dict(self) -> dict[str, Any]:
        """As stored; without separators where there are none, so that such a checkpoint's bytes don't know of them."""
        absent = [name for name in ("separator_id", "separator_every") if getattr(self, name) is None]
        return {name: value for name, value in super().to_dict().items() if name not in absent}

    @property
    def plans(self) -> list[LayerPlan]:
        """The layer plans, first layer first."""
        return [LayerPlan.from_dict(row) for row in self.layer_plan or []]

    @property
    def unnamed_ids(self) -> list[int]:
        """Ids that have rows in the head and name no token."""
        codes = self.image_rows
        return [*range(self.text_size, codes.start), *range(codes.stop, self.vocab_size)]

    @property
    def image_ids(self) -> list[int]:
        """Ids that only images have: `<|vision_start|>`, codes, separators; without them a model writes text."""
        codes = self.image_rows
        separators = [] if self.separator_id is None else [self.separator_id]
        return [self.vision_start_id, *separators, *range(codes.start, codes.stop)]

    @property
    def image_rows(self) -> slice:
        """Rows of the head that are image codes."""
        return slice(self.image_offset, self.image_offset + self.codebook_size)

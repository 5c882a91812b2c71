"""What a decoder costs, by arithmetic alone: parameters, FLOPs and memory per token.

Flows in: a decoder's shape, its layer plans and the sizes of the vocabulary. Flows out: `DecoderCosts`. It
imports no torch, so that a plan can be looked at on a login node; a test holds it against real models.
"""

from dataclasses import dataclass

from unix_lib.config.models import DecoderShape
from unix_lib.layer_plans import LayerPlan


@dataclass(frozen=True)
class DecoderCosts:
    """Sizes of one architecture. Active parameters are those that a token of the modality passes through."""

    parameters_total: int
    # In every plan a vision token passes through as many parameters as a text token: copies have the text width.
    parameters_active: int  # embedding and head included, once when tied
    training_flops_per_token: int  # forward and backward, matrix products only, without attention scores
    cache_values_per_token: int  # keys and values kept per token while decoding


@dataclass(frozen=True)
class _LayerParts:
    attention: int  # projections, biases and the norm before them
    attention_matrices: int
    ffn: int
    ffn_matrices: int


def _layer_parts(shape: DecoderShape) -> _LayerParts:
    head_width = shape.hidden_size // shape.heads
    queries = shape.heads * head_width
    key_values = shape.key_value_heads * head_width
    matrices = shape.hidden_size * (queries + 2 * key_values) + queries * shape.hidden_size
    biases = queries + 2 * key_values  # Qwen2 has them on q, k and v
    ffn = 3 * shape.hidden_size * shape.intermediate_size
    return _LayerParts(matrices + biases + shape.hidden_size, matrices, ffn + shape.hidden_size, ffn)


def decoder_costs(shape: DecoderShape, plans: list[LayerPlan], vocabulary_size: int) -> DecoderCosts:
    """Costs of a Qwen2-class decoder.

    Args:
        shape: the decoder.
        plans: one plan per layer.
        vocabulary_size: rows of the embedding, image codes included.
    """
    parts = _layer_parts(shape)
    embedding = vocabulary_size * shape.hidden_size
    outside = embedding * (1 if shape.tie_embeddings else 2) + shape.hidden_size
    copies = [
        parts.attention * (plan.attention_weights == "per_modality") + parts.ffn * (plan.ffn == "per_modality")
        for plan in plans
    ]
    active = len(plans) * (parts.attention + parts.ffn) + outside
    matrices = len(plans) * (parts.attention_matrices + parts.ffn_matrices) + embedding
    head_width = shape.hidden_size // shape.heads
    return DecoderCosts(
        parameters_total=active + sum(copies),
        parameters_active=active,
        training_flops_per_token=6 * matrices,
        cache_values_per_token=2 * len(plans) * shape.key_value_heads * head_width,
    )

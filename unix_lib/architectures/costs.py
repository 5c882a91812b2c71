"""What a decoder costs, by arithmetic alone: parameters, FLOPs and memory per token, for text and for vision tokens.

It imports no torch, so that a plan can be looked at on a login node; a test holds it against real models.
"""

from dataclasses import astuple, dataclass

from unix_lib.config.models import DecoderShape, LayerPlan


@dataclass(frozen=True)
class TokenCosts:
    """What one token of a modality costs."""

    parameters: int  # that it passes through, embedding and head included, once when tied
    training_flops: int  # forward and backward, matrix products only, without attention scores; every token a target
    activation_bytes: int  # kept from the forward pass for the backward pass, without padding


@dataclass(frozen=True)
class DecoderCosts:
    """Sizes of one architecture."""

    parameters_total: int
    text: TokenCosts
    vision: TokenCosts
    # Keys and values kept per token while decoding: a layer whose scope is within a modality keeps the tokens of the
    # modality that is being decoded only.
    cache_values_own: int  # of a token of that modality
    cache_values_other: int  # of a token of the other one


@dataclass(frozen=True)
class _Parts:
    """Sizes of what a token passes through, or of weights."""

    parameters: int = 0
    matrices: int = 0  # those of them in matrix products
    activations: int = 0  # values kept for the backward pass, without the norms'
    normed: int = 0  # values that pass a norm

    def __add__(self, other: "_Parts") -> "_Parts":
        return _Parts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def _attention(shape: DecoderShape) -> _Parts:
    """The projections with their biases or their norms, and the norm before them."""
    queries, key_values = shape.heads * shape.width_of_heads, shape.key_value_heads * shape.width_of_heads
    matrices = shape.hidden_size * (queries + 2 * key_values) + queries * shape.hidden_size
    # Queries, keys and values; what attention gives, as it is padded and as the output projection takes it.
    projections = _Parts(matrices, matrices, 3 * queries + 2 * key_values)
    if shape.family == "qwen2":
        inside = _Parts(parameters=queries + 2 * key_values)
    else:
        inside = _Parts(parameters=2 * shape.width_of_heads, normed=queries + key_values)
    return projections + inside + _norm(shape)


def _norm(shape: DecoderShape) -> _Parts:
    return _Parts(parameters=shape.hidden_size, normed=shape.hidden_size)


def _ffn(shape: DecoderShape, width: int) -> _Parts:
    matrices = 3 * shape.hidden_size * width
    return _Parts(matrices, matrices, 4 * width)  # gate, its activation, up, their product


def _ffns(shape: DecoderShape, plan: LayerPlan) -> tuple[list[_Parts], list[_Parts], list[_Parts]]:
    """A layer's feed-forward layers: all there are, those of a text token, those of a vision token."""
    text = _ffn(shape, shape.intermediate_size)
    if plan.ffn == "shared":
        return [text], [text], [text]
    if plan.ffn == "per_modality":
        return [text, text, _norm(shape)], [text], [text]
    shared, vision = _ffn(shape, plan.ffn_shared_width), _ffn(shape, plan.ffn_vision_width)
    return [text, shared, vision], [text, shared], [vision, shared]


def decoder_costs(
    shape: DecoderShape,
    plans: list[LayerPlan],
    vocabulary_size: int,
    *,
    bytes_per_value: int = 4,
    gradient_checkpointing: bool = False,
) -> DecoderCosts:
    """Costs of a Qwen2- or Qwen3-class decoder.

    Args:
        vocabulary_size: rows of the embedding, image codes included.
        bytes_per_value: of activations; 2 in bfloat16 (norms keep one copy of their input in float32).
        gradient_checkpointing: only the input of each layer is kept.
    """
    width = shape.hidden_size
    embedding = vocabulary_size * width
    outside = _Parts(embedding * (1 if shape.tie_embeddings else 2) + width, embedding)
    attention = _attention(shape)
    total, text, vision = outside, outside, outside
    for plan in plans:
        weights, of_text, of_vision = _ffns(shape, plan)
        copies = 2 if plan.attention_weights == "per_modality" else 1
        total = sum([attention] * copies + weights, start=total + _norm(shape))
        text = sum(of_text, start=text + attention + _norm(shape))
        vision = sum(of_vision, start=vision + attention + _norm(shape))

    def token(parts: _Parts) -> TokenCosts:
        # A norm keeps its input in float32, the scaled input and its output.
        whole = parts.normed * (4 + 2 * bytes_per_value) + parts.activations * bytes_per_value
        kept = len(plans) * width * bytes_per_value if gradient_checkpointing else whole
        return TokenCosts(parts.parameters, 6 * parts.matrices, kept)

    per_layer = 2 * shape.key_value_heads * shape.width_of_heads
    return DecoderCosts(
        parameters_total=total.parameters,
        text=token(text),
        vision=token(vision),
        cache_values_own=len(plans) * per_layer,
        cache_values_other=sum(plan.attention_scope == "joint" for plan in plans) * per_layer,
    )

"""Makes the model that a run begins with: fresh, from a checkpoint of another plan, or from a pretrained Qwen model.

Every new tensor is drawn from its own generator, seeded by the run's seed and the tensor's name: two architectures
with the same seed begin with the same text weights, and adding a layer copy changes no other tensor.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from unix_lib.architectures.plans import architecture_label, layer_plan
from unix_lib.config.models import DecoderShape, PlanConfig
from unix_lib.models.checkpoint import load_model, require_finite, require_vocabulary, vocabulary_fields
from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.tokenizers.vocabulary import Vocabulary

VisionStart = Literal["copy", "fresh"]
# ASSUME: noise of new rows relative to the spread of the old ones; the authors' initialisation of codes is unknown.
NEW_ROW_NOISE = 0.1
# Names of a `DecoderShape` that decide tensors, and transformers' names for them.
_SHAPE_FIELDS = {
    "family": "model_type",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "key_value_heads": "num_key_value_heads",
    "head_width": "head_dim",
    "tie_embeddings": "tie_word_embeddings",
}
# What transformers raises on files that are broken, or on a config of plausible types and impossible values.
_LOADING_ERRORS = (
    SafetensorError,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
)


def fresh_model(shape: DecoderShape, plan: PlanConfig, vocabulary: Vocabulary, seed: int) -> UnixForCausalLM:
    """A decoder with random float32 weights, which follow `seed` and each tensor's name only.

    Raises:
        PlanError: a plan that doesn't fit the layers of `shape`.
    """
    config = UnixConfig(
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.width_of_heads,
        attention_bias=shape.family == "qwen2",
        query_key_norm=shape.family == "qwen3",
        tie_word_embeddings=shape.tie_embeddings,
        max_position_embeddings=shape.max_positions,
        rope_theta=shape.rope_theta,
        initializer_range=shape.initializer_range,
        **_plan_fields(plan, shape.layers),
        **vocabulary_fields(vocabulary),
    )
    model = _empty_model(config, torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_fresh_tensor(name, parameter, config.initializer_range, seed))
    return model


def start_from_checkpoint(
    model_folder: Path | str,
    plan: PlanConfig,
    vision_start: VisionStart,
    seed: int,
    image_rows: Literal["kept", "fresh"] = "kept",
    *,
    vocabulary: Vocabulary | None = None,
) -> UnixForCausalLM:
    """Give a trained shared decoder another plan.

    Args:
        model_folder: folder written by `save_pretrained`, with a shared plan.
        plan: the table of layer plans that it gets.
        vision_start: vision weights are copies of the text layer's, or fresh.
        seed: seed of fresh weights.
        image_rows: `fresh` draws the embedding (and head) rows of the image codes anew, with the mean and spread of
            the text rows. Text-only training pushes the rows it never uses all the same way, which costs the first
            steps on images dearly; the logits of text tokens stay what they were.
        vocabulary: what the checkpoint's ids must be, where that is known.

    Raises:
        ModelError: the checkpoint has separate layers already, another vocabulary, or is not whole.
        PlanError: a plan that doesn't fit its layers.
    """
    base = load_model(model_folder)
    if vocabulary is not None:
        require_vocabulary(base.config, vocabulary, str(model_folder))
    if any(row.separate for row in base.config.plans):
        raise ModelError(
            f"{model_folder} has plan '{base.config.architecture}', and only a shared one can take another plan; "
            "start from a run with plan shared"
        )
    values = base.config.to_dict() | _plan_fields(plan, base.config.num_hidden_layers)
    weights = dict(base.state_dict())
    if image_rows == "fresh":
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            if name in weights:
                text_rows = weights[name][: base.config.image_offset]
                weights[name] = _grown(text_rows, len(weights[name]), name, seed, noise=1.0)
    return _with_plan(weights, UnixConfig(**values), vision_start, seed)


def start_from_pretrained(  # noqa: PLR0917
    path: Path | str,
    revision: str,
    plan: PlanConfig,
    vocabulary: Vocabulary,
    vision_start: VisionStart,
    seed: int,
    dtype: torch.dtype = torch.float32,
    *,
    shape: DecoderShape | None = None,
) -> UnixForCausalLM:
    """Give a pretrained Qwen2, Qwen2.5 or Qwen3 model image codes and a plan.

    Args:
        path: local folder or hub id. revision: pinned revision on the hub.
        vocabulary: image codes must come right after the model's padded text vocabulary.
        dtype: of the weights.
        plan: the table of layer plans that it gets.
        shape: the shape that the model must have, where one was planned with.

    Raises:
        ModelError: no model there or an unreadable one, another model family, a variant that is not supported, a
            vocabulary or a shape that doesn't fit, or weights that are not whole or not finite.
        PlanError: a plan that doesn't fit the model's layers.
    """
    source = _pretrained_config(path, revision)
    if source.model_type not in ("qwen2", "qwen3"):
        raise ModelError(f"{path} is a '{source.model_type}' model; give a Qwen2, Qwen2.5 or Qwen3 model")
    if source.num_attention_heads < 1:
        raise ModelError(f"{path}: config.json has {source.num_attention_heads} attention heads; download it again")
    rope = source.rope_parameters
    if rope.get("rope_type", "default") != "default" or source.use_sliding_window:
        raise ModelError(f"{path} uses scaled rotary embeddings or sliding windows, which are not supported")
    if shape is not None:
        _require_shape(path, source, shape)
    if vocabulary.padded_text_size != source.vocab_size:
        raise ModelError(
            f"{path} has {source.vocab_size} embedding rows, the vocabulary pads its text to "
            f"{vocabulary.padded_text_size}; set tokenizers.padded_text_vocabulary to {source.vocab_size}"
        )
    config = UnixConfig(
        hidden_size=source.hidden_size,
        intermediate_size=source.intermediate_size,
        num_hidden_layers=source.num_hidden_layers,
        num_attention_heads=source.num_attention_heads,
        num_key_value_heads=source.num_key_value_heads,
        head_dim=getattr(source, "head_dim", None) or 0,
        max_position_embeddings=source.max_position_embeddings,
        initializer_range=source.initializer_range,
        rms_norm_eps=source.rms_norm_eps,
        rope_theta=rope["rope_theta"],
        attention_bias=source.model_type == "qwen2" or source.attention_bias,
        query_key_norm=source.model_type == "qwen3",
        tie_word_embeddings=source.tie_word_embeddings,
        **_plan_fields(plan, source.num_hidden_layers),
        **vocabulary_fields(vocabulary),
    )
    weights = _pretrained_weights(path, revision, dtype)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = _grown(weights[name], config.vocab_size, name, seed, noise=NEW_ROW_NOISE)
    model = _with_plan(weights, config, vision_start, seed, dtype)
    require_finite(str(path), model, "download it again")
    return model


def model_of_config(folder: Path) -> UnixForCausalLM:
    """A float32 decoder of the config.json in a folder, without weights: whoever asks is about to load them."""
    return _empty_model(UnixConfig.from_pretrained(folder), torch.float32)


def parameter_counts(model: UnixForCausalLM) -> dict[str, int]:
    """Parameters: `total`, and active per text token (`text`) and per vision token (`vision`), tied rows once."""

    def size(*modules: torch.nn.Module) -> int:
        # ZeRO 3 empties a parameter that is not in use and keeps its size beside it.
        return sum(getattr(p, "ds_numel", p.numel()) for module in modules for p in module.parameters())

    layers = model.model.layers
    text, vision = (size(*(part for layer in layers for part in layer.modules_of(seen))) for seen in (False, True))
    total = size(model)
    outside = total - size(layers)
    return {"total": total, "text": outside + text, "vision": outside + vision}


def _pretrained_config(path: Path | str, revision: str) -> Any:
    try:
        return AutoConfig.from_pretrained(path, revision=revision)
    except (OSError, ValueError, TypeError, AttributeError, StrictDataclassError) as error:
        raise ModelError(
            f"{path}: no model with a readable config.json here ({_first_line(error)}); correct start.path, or "
            "download the model with `unix-lib fetch <config>`"
        ) from None


def _pretrained_weights(path: Path | str, revision: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """Every tensor that config.json promises; transformers itself would draw at random what the files lack."""
    remedy = "the files are not whole or not this model's, download them again"
    load: Any = AutoModelForCausalLM.from_pretrained
    try:
        model, report = load(
            path, revision=revision, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except _LOADING_ERRORS as error:
        raise ModelError(
            f"{path}: unreadable weights, or a config.json that no model can have ({_first_line(error)}); {remedy}"
        ) from None
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    for fault in ("missing_keys", "mismatched_keys"):
        names = {name if isinstance(name, str) else str(name[0]) for name in report[fault]} - tied
        if names:
            raise ModelError(f"{path}: {len(names)} {fault.replace('_', ' ')}, first {min(names)}; {remedy}")
    return dict(model.state_dict())


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _require_shape(path: Path | str, source: Any, shape: DecoderShape) -> None:
    divided = source.hidden_size // source.num_attention_heads
    for name, field in _SHAPE_FIELDS.items():
        found = getattr(source, field, divided if name == "head_width" else None)
        planned = shape.width_of_heads if name == "head_width" else getattr(shape, name)
        if planned != found:
            raise ModelError(
                f"{path} has {field} {found}, the run's start.shape.{name} is {planned}; set it to {found}, so "
                "that plan and costs are this model's"
            )


def _plan_fields(plan: PlanConfig, layers: int) -> dict[str, Any]:
    return {
        "layer_plan": [row.as_dict() for row in layer_plan(plan, layers)],
        "architecture": architecture_label(plan),
    }


def _empty_model(config: UnixConfig, dtype: torch.dtype) -> UnixForCausalLM:
    """A decoder whose weights are about to be written; no time and no random numbers go into drawing them."""
    with torch.device("meta"):
        model: Any = UnixForCausalLM(config)
    empty: UnixForCausalLM = model.to(dtype).to_empty(device="cpu")
    empty.tie_weights()
    return empty


def _text_name(name: str) -> str:
    """The text tensor that a vision tensor stands beside."""
    return name.replace("vision_", "", 1)


def _with_plan(
    weights: dict[str, Tensor],
    config: UnixConfig,
    vision_start: VisionStart,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> UnixForCausalLM:
    """A decoder of `config` holding a shared decoder's weights.

    A feed-forward layer added for all tokens starts without effect (its last matrix is zero), so that text keeps the
    base's logits. A vision expert of another width copies the text layer's first neurons; those beyond are fresh.
    """
    model = _empty_model(config, dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
                continue
            value = _fresh_tensor(name, parameter, config.initializer_range, seed)
            if "shared_mlp.down_proj" in name:
                value.zero_()
            elif "vision_" in name and vision_start == "copy":
                text = weights[_text_name(name)]
                # ASSUME: which neurons a narrower expert starts from is unknown; any choice is as good as another.
                kept = tuple(slice(min(sizes)) for sizes in zip(value.shape, text.shape, strict=True))
                value[kept] = text[kept].to(value.dtype)
            parameter.copy_(value)
    return model


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _fresh_tensor(name: str, like: Tensor, spread: float, seed: int) -> Tensor:
    if "norm" in name:
        return torch.ones(like.shape)
    if name.endswith("bias"):
        return torch.zeros(like.shape)
    return torch.randn(like.shape, generator=_generator(seed, name)) * spread


def _grown(old: Tensor, rows: int, name: str, seed: int, noise: float) -> Tensor:
    """Rows appended to (old rows, D): the old rows' mean plus noise, in units of the old rows' spread."""
    mean, spread = old.float().mean(0), old.float().std(0)
    drawn = torch.randn(rows - old.shape[0], old.shape[1], generator=_generator(seed, name))
    return torch.cat([old, (mean + noise * spread * drawn).to(old.dtype)])

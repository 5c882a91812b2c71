"""Makes the model that a run begins with: fresh, or from a checkpoint of another plan.

Every new tensor is drawn from its own generator, seeded by the run's seed and the tensor's name: two architectures
with the same seed begin with the same text weights, and adding a layer copy changes no other tensor.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from unix_lib.architectures.plans import architecture_label, goes_on, layer_plan
from unix_lib.config.models import DecoderShape, PlanConfig
from unix_lib.models.checkpoint import load_model, require_vocabulary, vocabulary_fields
from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.tokenizers.vocabulary import Vocabulary

VisionStart = Literal["copy", "fresh"]


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
        **plan_fields(plan, shape.layers),
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
    """Go on with a trained decoder: with its own plan, tensor for tensor, or a shared one with any plan.

    Args:
        model_folder: folder written by `save_pretrained`.
        plan: the table of layer plans that the model has or gets.
        vision_start: vision weights are copies of the text layer's, or fresh.
        seed: seed of fresh weights.
        image_rows: `fresh` draws the embedding (and head) rows of the image codes anew, with the mean and spread of
            the text rows. Text-only training pushes the rows it never uses all the same way, which costs the first
            steps on images dearly; the logits of text tokens stay what they were.
        vocabulary: what the checkpoint's ids must be, where that is known.

    Raises:
        ModelError: the checkpoint has separate layers and another plan, another vocabulary, or is not whole.
        PlanError: a plan that doesn't fit its layers.
    """
    base = load_model(model_folder)
    if vocabulary is not None:
        require_vocabulary(base.config, vocabulary, str(model_folder))
    weights = dict(base.state_dict())
    if image_rows == "fresh":
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            if name in weights:
                text_rows = weights[name][: base.config.image_offset]
                weights[name] = grown(text_rows, len(weights[name]), name, seed, noise=1.0)
    return with_plan(str(model_folder), weights, base.config, plan, vision_start, seed)


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


def plan_fields(plan: PlanConfig, layers: int) -> dict[str, Any]:
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


def with_plan(  # noqa: PLR0917
    where: str,
    weights: dict[str, Tensor],
    config: UnixConfig,
    plan: PlanConfig,
    vision_start: VisionStart,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> UnixForCausalLM:
    """A decoder holding given weights, whose plan is its own, or any where it has been a shared one.

    A feed-forward layer added for all tokens starts without effect (its last matrix is zero), so that text keeps the
    base's logits. A vision expert of another width copies the text layer's first neurons; those beyond are fresh.

    Args:
        where: names the model in messages.
        weights: by name. config: the decoder that they are of.

    Raises:
        ModelError: the weights have another plan than `plan`, and it is not shared.
        PlanError: a plan that doesn't fit the layers.
    """
    layers = config.num_hidden_layers
    if not goes_on(config.plans, layer_plan(plan, layers)):
        raise ModelError(
            f"{where} has plan '{config.architecture}', the run '{architecture_label(plan)}', and only a shared model "
            "can take another plan; give the run the model's plan, or start from a run with plan shared"
        )
    config = UnixConfig(**config.to_dict() | plan_fields(plan, layers))
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


def grown(old: Tensor, rows: int, name: str, seed: int, noise: float) -> Tensor:
    """Rows appended to (old rows, D): the old rows' mean plus noise, in units of the old rows' spread."""
    mean, spread = old.float().mean(0), old.float().std(0)
    drawn = torch.randn(rows - old.shape[0], old.shape[1], generator=_generator(seed, name))
    return torch.cat([old, (mean + noise * spread * drawn).to(old.dtype)])

"""A run's first weights from a model on disk or on the hub, whoever made it.

A Qwen model gets image codes and any plan. A checkpoint of this project, one that it exported, and one of the classes
published with the paper have both; what is asked of them is that they fit.
"""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.hub import cached_file

from unix_lib.config.models import DecoderShape, PlanConfig, SharedPlan
from unix_lib.models.checkpoint import require_finite, require_vocabulary, vocabulary_fields
from unix_lib.models.configuration import QWEN_FIELDS, ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.published import is_published, published_plan, published_weights, require_published_ids
from unix_lib.models.start import VisionStart, grown, plan_fields, start_from_checkpoint, with_plan
from unix_lib.tokenizers.vocabulary import VOCABULARY_FILE, Vocabulary

OWN = UnixConfig.model_type

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
    """Begin with a pretrained Qwen2, Qwen2.5 or Qwen3 model, or with a checkpoint that has image codes already.

    Args:
        path: local folder or hub id. revision: pinned revision on the hub.
        vocabulary: image codes must come right after the model's padded text vocabulary; a model that has codes must
            have these.
        dtype: of the weights.
        plan: the table of layer plans that the model has, or gets where it is a shared one.
        shape: the shape that the model must have, where one was planned with.

    Raises:
        ModelError: no model there or an unreadable one, another model family, a variant that is not supported, a
            vocabulary, a plan or a shape that doesn't fit, or weights that are not whole or not finite.
        PlanError: a plan that doesn't fit the model's layers.
    """
    source = pretrained_config(path, revision)
    if source.model_type not in ("qwen2", "qwen3", OWN):
        raise ModelError(f"{path} is a '{source.model_type}' model; give a Qwen2, Qwen2.5 or Qwen3 model")
    if source.num_attention_heads < 1:
        raise ModelError(f"{path}: config.json has {source.num_attention_heads} attention heads; download it again")
    if shape is not None:
        _require_shape(path, source, shape)
    require_ids(path, revision, source, vocabulary)
    if source.model_type == OWN:
        return start_from_checkpoint(_folder(path, revision), plan, vision_start, seed, vocabulary=vocabulary)
    rope = source.rope_parameters
    if rope.get("rope_type", "default") != "default" or source.use_sliding_window:
        raise ModelError(f"{path} uses scaled rotary embeddings or sliding windows, which are not supported")
    published = is_published(source)
    own_plan = published_plan(str(path), source) if published else SharedPlan(preset="shared")
    config = UnixConfig(
        head_dim=getattr(source, "head_dim", None) or 0,
        rope_theta=rope["rope_theta"],
        attention_bias=source.model_type == "qwen2" or source.attention_bias,
        query_key_norm=source.model_type == "qwen3",
        **{name: getattr(source, name) for name in QWEN_FIELDS},
        **plan_fields(own_plan, source.num_hidden_layers),
        **vocabulary_fields(vocabulary),
    )
    if published:
        weights = published_weights(str(path), _folder(path, revision), source, config)
    else:
        weights = _pretrained_weights(path, revision, dtype)
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = grown(weights[name], config.vocab_size, name, seed, noise=NEW_ROW_NOISE)
    model = with_plan(str(path), weights, config, plan, vision_start, seed, dtype)
    require_finite(str(path), model, "download it again")
    return model


def require_ids(path: Path | str, revision: str, source: Any, vocabulary: Vocabulary) -> None:
    """Check that a model's tokens are those of a vocabulary, or may become so: codes right behind its embedding rows.

    Args:
        source: the model's config.

    Raises:
        ModelError: says what differs, and what to change.
    """
    if source.model_type == OWN:
        require_vocabulary(source, vocabulary, str(path))
    elif is_published(source):
        require_published_ids(str(path), source, vocabulary)
    elif exported := _vocabulary_beside(path, revision):
        require_vocabulary(UnixConfig(**vocabulary_fields(exported)), vocabulary, str(path))
    elif vocabulary.padded_text_size != source.vocab_size:
        raise ModelError(
            f"{path} has {source.vocab_size} embedding rows, the vocabulary pads its text to "
            f"{vocabulary.padded_text_size}; if all rows are text, set tokenizers.padded_text_vocabulary to "
            f"{source.vocab_size}, and if some are image codes, put the {VOCABULARY_FILE} that they were trained with "
            "beside the weights"
        )


def _vocabulary_beside(path: Path | str, revision: str) -> Vocabulary | None:
    """The vocabulary of a model that was exported with its image codes."""
    quietly = {f"_raise_exceptions_for_{what}": False for what in ("missing_entries", "connection_errors")}
    found = cached_file(path, VOCABULARY_FILE, revision=revision, **quietly)
    return None if found is None else Vocabulary.read(Path(found))


def _folder(path: Path | str, revision: str) -> Path:
    if Path(path).is_dir():
        return Path(path)
    try:
        return Path(snapshot_download(str(path), revision=revision))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not whole in the hub's cache ({_first_line(error)}); run `unix-lib fetch <config>` where there "
            "is a network"
        ) from None


def pretrained_config(path: Path | str, revision: str) -> Any:
    """The config of a model in a folder or on the hub.

    Raises:
        ModelError: there is none that can be read.
    """
    try:
        return AutoConfig.from_pretrained(path, revision=revision)
    except (OSError, ValueError, TypeError, AttributeError, StrictDataclassError) as error:
        raise ModelError(
            f"{path}: no model with a readable config.json here ({_first_line(error)}); correct start.path, or "
            "download the model with `unix-lib fetch <config>`; of a checkpoint give the folder `model`"
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
        if found == OWN:
            found = "qwen3" if source.query_key_norm else "qwen2"
        planned = shape.width_of_heads if name == "head_width" else getattr(shape, name)
        if planned != found:
            raise ModelError(
                f"{path} has {field} {found}, the run's start.shape.{name} is {planned}; set it to {found}, so "
                "that plan and costs are this model's"
            )

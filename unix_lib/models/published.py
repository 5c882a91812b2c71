"""Checkpoints of the classes that were published with the paper: their plan, their ids, and their tensors by our names.

Uni-X there keeps its vision copies in lists of their own, MoT and MoE inside the layer; its MoT shares norms and output
projections between the modalities, its MoE the norm, so that both of ours begin with the same tensor. Image codes
start right behind the tokenizer's ids, on rows that Qwen reserves; rows that name no token lie behind them.
"""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unix_lib.config.models import (
    CustomPlan,
    LayerPlan,
    MoEPlan,
    MoTPlan,
    PlanConfig,
    UnixPlan,
    UnixSharedFfnPlan,
)
from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.tokenizers.vocabulary import SEPARATOR, Vocabulary, build_vocabulary

UNIX, MOT, MOE = "UniQwen3ForCausalLM", "MoTQwen3ForCausalLM", "HardMoeQwen3CausalLM"
# What both modalities use there and each has of its own here.
_USED_BY_BOTH = {
    UNIX: (),
    MOT: ("input_layernorm.", "post_attention_layernorm.", "self_attn.o_proj."),
    MOE: ("post_attention_layernorm.",),
}
# What safetensors, PyTorch and JSON raise on files that are broken.
_UNREADABLE = (
    *(SafetensorError, pickle.UnpicklingError, EOFError, OSError, ValueError, LookupError, RuntimeError),
    *(TypeError, AttributeError),
)
_REMEDY = "the files are not whole or not this model's, download them again"


def is_published(config: Any) -> bool:
    """Whether a config, as transformers reads it, is of one of the published classes."""
    return hasattr(config, "num_vision_encode_layers")


def published_plan(where: str, config: Any) -> PlanConfig:
    """The plan of a published checkpoint.

    Raises:
        ModelError: a class, or a variant of one, that no plan describes.
    """
    for variant, off in (("skip_connection_loc", (None, -1)), ("all_modal_visible", (None, 0, False))):
        if getattr(config, variant, None) not in off:
            raise ModelError(
                f"{where}: config.json has {variant} {getattr(config, variant)}, which no plan here describes; give a "
                "checkpoint without it"
            )
    try:
        return _plan_of_class(_class_of(where, config), config)
    except (ValidationError, AttributeError) as error:
        raise ModelError(f"{where}: config.json describes no plan ({str(error).splitlines()[0]}); {_REMEDY}") from None


def _plan_of_class(kind: str, config: Any) -> PlanConfig:
    if kind == MOE:
        return MoEPlan(preset="moe", every=config.decoder_sparse_step)
    if kind == MOT:
        if config.ffn_vision_size == config.intermediate_size:
            return MoTPlan(preset="mot")
        narrowed = LayerPlan(
            attention_weights="per_modality", ffn="shared_plus_vision", ffn_vision_width=config.ffn_vision_size
        )
        return CustomPlan(preset="custom", table=[narrowed] * config.num_hidden_layers)
    ends = {"first": config.num_vision_encode_layers, "last": config.num_vision_decode_layers}
    if not getattr(config, "add_share_ffn", 0):
        return UnixPlan(preset="unix", **ends)
    widths = {"shared_width": config.ffn_share_size, "vision_width": config.ffn_vision_size}
    return UnixSharedFfnPlan(preset="unix_shared_ffn", **ends, **widths)


def published_vocabulary(config: Any, text_ids: dict[str, int], codes_per_image: int) -> Vocabulary:
    """The vocabulary of a published checkpoint, whose spare rows lie between text and codes here.

    Args:
        text_ids: the whole vocabulary of its text tokenizer, token -> id.

    Raises:
        VocabularyError: the tokenizer lacks a special token.
    """
    separated = bool(getattr(config, "add_sep_for_vis", 0))
    settings = VocabularySettings(
        codebook_size=config.vision_vocab_size,
        codes_per_image=codes_per_image,
        multiple=1,
        padded_text_vocabulary=config.vocab_size - config.vision_vocab_size,
        image_separator_every=int(config.vis_sep_lens) if separated else None,
    )
    return build_vocabulary(text_ids, settings)


def require_published_ids(where: str, config: Any, vocabulary: Vocabulary) -> None:
    """Refuse a published checkpoint whose tokens are not those of a vocabulary.

    Raises:
        ModelError: names what differs, there and here.
    """
    separated = bool(getattr(config, "add_sep_for_vis", 0))
    for name, field in (
        ("real_text_vocab_size", "text_size"),
        ("vision_vocab_size", "codebook_size"),
        ("vision_start_id", "vision_start_id"),
        ("vis_sep_lens", "separator_every"),
    ):
        found = getattr(config, name, None) if separated or field != "separator_every" else None
        if str(found) != str(getattr(vocabulary, field)):  # the interval is a text there
            raise ModelError(
                f"{where}: the model has {name} {found}, the vocabulary {field} {getattr(vocabulary, field)}; take the "
                "text tokenizer, the codebook and the separators that the model was trained with"
            )
    if separated and config.vis_sep_tokens != SEPARATOR:
        raise ModelError(f"{where}: separators are {config.vis_sep_tokens}, and only {SEPARATOR} is supported")
    spare = config.vocab_size - config.real_text_vocab_size - config.vision_vocab_size
    most = config.real_text_vocab_size + spare
    if vocabulary.padded_text_size > most:
        raise ModelError(
            f"{where}: {config.vocab_size} embedding rows hold {most} for text, the vocabulary pads its text to "
            f"{vocabulary.padded_text_size}; set tokenizers.padded_text_vocabulary to at most {most}"
        )


def published_weights(where: str, folder: Path, source: Any, config: UnixConfig) -> dict[str, Tensor]:
    """All tensors of a published checkpoint, by our names and with rows where our vocabulary has them.

    Args:
        where: names the model in messages.
        source: its config. config: the same decoder as ours, whose vocabulary fits.

    Raises:
        ModelError: files that can't be read; a tensor that is missing, left over or of another shape, by its name.
    """
    read = read_weights(where, folder)
    found = {_our_name(name, source): value for name, value in read.items()}
    if len(found) < len(read):
        raise ModelError(f"{where}: more vision layers than config.json says; {_REMEDY}")
    with torch.device("meta"):
        expected = dict(UnixForCausalLM(config).named_parameters())
    if config.tie_word_embeddings:
        found.pop("lm_head.weight", None)
    both = _USED_BY_BOTH[_class_of(where, source)]
    for name in expected:
        text = name.replace(".vision_", ".")
        if text in found and any(f".vision_{part}" in name for part in both):
            found[name] = found[text]
    for fault, names in (("missing", expected.keys() - found), ("unexpected", found.keys() - expected)):
        if names:
            raise ModelError(f"{where}: {len(names)} {fault} tensors, first {min(names)} by its name here; {_REMEDY}")
    for name, value in found.items():
        rows = name in ("model.embed_tokens.weight", "lm_head.weight")
        shape = (source.vocab_size, config.hidden_size) if rows else tuple(expected[name].shape)
        if tuple(value.shape) != shape:
            raise ModelError(f"{where}: {name} is {tuple(value.shape)}, config.json says {shape}; {_REMEDY}")
        if rows:
            found[name] = _moved_rows(value, source, config)
    return found


def read_weights(where: str, folder: Path) -> dict[str, Tensor]:
    """Every tensor in a folder's safetensors files, or in its PyTorch ones, of which nothing but tensors is read.

    Raises:
        ModelError: no such files, or one that can't be read.
    """
    weights: dict[str, Tensor] = {}
    name = ""
    try:
        for name in _weight_files(folder):
            path = folder / name
            weights |= load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except _UNREADABLE as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{where}: unreadable weights {name} ({said}); {_REMEDY}") from None
    if not weights:
        raise ModelError(f"{where}: no weights here, neither model.safetensors nor pytorch_model.bin; {_REMEDY}")
    return weights


def _weight_files(folder: Path) -> list[str]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return []


def _class_of(where: str, config: Any) -> str:
    name = str((config.architectures or ["nothing"])[0]).removesuffix("Inference")
    if name not in _USED_BY_BOTH:
        raise ModelError(f"{where}: config.json names class {name}; give a checkpoint of {', '.join(_USED_BY_BOTH)}")
    return name


def _our_name(name: str, source: Any) -> str:
    copied = re.fullmatch(r"model\.vision_(encode|decode)_layers\.(\d+)\.(.+)", name)
    if copied:
        deep = source.num_hidden_layers - source.num_vision_decode_layers if copied[1] == "decode" else 0
        return f"model.layers.{int(copied[2]) + deep}.vision_{copied[3]}"
    name = name.replace(".self_attn.vis_", ".vision_self_attn.").replace(".mlp.share_", ".shared_mlp.")
    return re.sub(r"\.mlp\.(vis|vision)_", ".vision_mlp.", name)


def _moved_rows(rows: Tensor, source: Any, config: UnixConfig) -> Tensor:
    """Rows (published vocabulary, D) in the order of ours: text, rows that name no token, image codes."""
    codes = slice(source.real_text_vocab_size, source.real_text_vocab_size + source.vision_vocab_size)
    padding = slice(codes.stop, codes.stop + config.padded_text_size - config.text_size)
    return torch.cat([rows[: codes.start], rows[padding], rows[codes]])

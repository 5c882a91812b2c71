"""Writes a shared decoder as a plain Qwen2 or Qwen3 checkpoint, which loads without this package.

A shared decoder's tensors have Qwen's own names and shapes, so only the config changes. The embedding keeps its rows of
image codes behind the padded text vocabulary; the `vocabulary.json` beside it says which they are.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config

from unix_lib.artefacts.files import set_mode
from unix_lib.config.models import LayerPlan
from unix_lib.models.checkpoint import load_model
from unix_lib.models.configuration import QWEN_FIELDS, ModelError, UnixConfig

BESIDE_THE_WEIGHTS = ("tokenizer.json", "tokenizer_config.json", "vocabulary.json")


def qwen_config(config: UnixConfig) -> Qwen2Config | Qwen3Config:
    """The same decoder's config as transformers has it.

    Raises:
        ModelError: no Qwen model computes what this decoder does; says why.
    """
    others = [index for index, plan in enumerate(config.plans) if plan != LayerPlan()]
    if others:
        raise ModelError(
            f"plan '{config.architecture}' can't be exported: in a Qwen model all tokens share all weights and see "
            f"each other, and here {len(others)} of {len(config.plans)} layers, the first {others[0]}, are different; "
            "export a run with plan shared"
        )
    if config.query_key_norm == config.attention_bias:
        raise ModelError(
            "this decoder can't be exported: Qwen2 has biases on q, k and v and no norms, Qwen3 norms and no biases, "
            f"and here both are {'there' if config.attention_bias else 'absent'}"
        )
    kind: Any = Qwen3Config if config.query_key_norm else Qwen2Config
    qwen: Qwen2Config | Qwen3Config = kind(
        vocab_size=config.vocab_size,
        hidden_act=config.hidden_act,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        bos_token_id=None,
        head_dim=config.head_dim,
        **{name: getattr(config, name) for name in QWEN_FIELDS},
    )
    return qwen


def export(model_folder: Path, output: Path) -> None:
    """Write a shared checkpoint as a Qwen checkpoint with its tokenizer, in the same precision; whole or not at all.

    Args:
        model_folder: folder written by `save_pretrained`. output: a folder that doesn't exist yet, or is empty.

    Raises:
        ModelError: a plan that no Qwen model has, a damaged checkpoint, or an output folder that holds something or
            can't be made.
    """
    try:
        taken = output.exists() and (not output.is_dir() or any(output.iterdir()))
    except OSError as error:
        raise _no_folder(output, error) from None
    if taken:
        raise ModelError(f"{output}: exists already; give a new folder")
    config = UnixConfig.from_pretrained(model_folder)
    target = qwen_config(config)  # refuses before the weights are loaded
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".part", dir=output.parent))
    except OSError as error:
        raise _no_folder(output, error) from None
    try:
        _write(config, target, model_folder, temporary)
        set_mode(temporary, 0o755)
        os.replace(temporary, output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _no_folder(output: Path, error: OSError) -> ModelError:
    return ModelError(f"{output}: can't be made a folder ({error}); give another one")


def _write(config: UnixConfig, target: Qwen2Config | Qwen3Config, model_folder: Path, folder: Path) -> None:
    """The exported files, into an empty folder."""
    model = load_model(model_folder, config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32)
    with torch.device("meta"):
        qwen: Any = AutoModelForCausalLM.from_config(target, dtype=model.dtype)
    qwen.load_state_dict(model.state_dict(), assign=True)
    qwen.tie_weights()
    qwen.generation_config.suppress_tokens = config.unnamed_ids or None  # what our own `generate()` never draws
    qwen.save_pretrained(folder)
    for name in BESIDE_THE_WEIGHTS:
        if (model_folder / name).is_file():
            shutil.copyfile(model_folder / name, folder / name)

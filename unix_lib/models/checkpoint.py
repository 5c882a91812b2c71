"""Writes and loads checkpoints, and refuses a model that is not what its config and its vocabulary say."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.tokenizers.vocabulary import VOCABULARY_FILE, Vocabulary


def load_model(folder: Path | str, dtype: torch.dtype = torch.float32) -> UnixForCausalLM:
    """Load a checkpoint of any plan, refusing one that is not what its config says.

    Raises:
        ModelError: no checkpoint, or a damaged one; tensors of another plan or vocabulary than that of its config.json,
            or that are not finite; names the folder and the first faulty tensor.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no checkpoint here (no config.json); give the `model` folder of a train artefact")
    load: Any = UnixForCausalLM.from_pretrained
    model: UnixForCausalLM
    try:
        model, report = load(folder, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{folder}: unreadable weights ({error}); the checkpoint is damaged, make it again") from None
    for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[fault]:
            first = min(name if isinstance(name, str) else str(name[0]) for name in report[fault])
            raise ModelError(
                f"{folder}: {fault.replace('_', ' ')}, first {first}; the weights have another plan or vocabulary than "
                f"config.json (plan '{model.config.architecture}', {model.config.vocab_size} ids), or are not whole"
            )
    require_finite(str(folder), model, "go back to an earlier checkpoint")
    if (folder / VOCABULARY_FILE).is_file():
        require_vocabulary(model.config, Vocabulary.read(folder), str(folder))
    return model


def write_model(folder: Path, model: UnixForCausalLM, weights: dict[str, Tensor]) -> None:
    """Write what `from_pretrained` reads: configs and one safetensors file, tied weights once.

    Not `save_pretrained`: that imports DeepSpeed to see whether the model is wrapped, seconds for a step-0 checkpoint.
    """
    folder.mkdir(parents=True)
    # The Trainer sets this to false in what it trains; whoever loads the checkpoint wants `generate()` with its cache.
    model.config.use_cache = True
    model.config.architectures = [type(model).__name__]
    model.config.dtype = next(iter(weights.values())).dtype
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.use_cache = True
        model.generation_config.save_pretrained(folder)
    save_file(
        {name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def require_vocabulary(config: UnixConfig, vocabulary: Vocabulary, where: str) -> None:
    """Refuse a model whose ids are not those of a vocabulary; `where` names the model in the message.

    Raises:
        ModelError: names the first range or id that differs.
    """
    for name, value in vocabulary_fields(vocabulary).items():
        if getattr(config, name) != value:
            raise ModelError(
                f"{where}: the model has {name} {getattr(config, name)}, the vocabulary {value}; take the checkpoint "
                "and the vocabulary of one experiment"
            )


def require_finite(where: str, model: UnixForCausalLM, remedy: str) -> None:
    """Refuse weights that are NaN or infinite, by the name of the first tensor."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ModelError(f"{where}: {name} holds NaN or infinity; {remedy}")


def vocabulary_fields(vocabulary: Vocabulary) -> dict[str, Any]:
    """A vocabulary's ranges and ids by their names in a `UnixConfig`."""
    values = asdict(vocabulary)
    size, eos, pad = (values.pop(name) for name in ("size", "eos_id", "pad_id"))
    return {"vocab_size": size, **values, "eos_token_id": eos, "pad_token_id": pad}

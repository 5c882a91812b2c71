"""Reads published VQGAN weights, checks them against the config's shape and brings them under one set of names.

Three layouts are known:

* taming-transformers': `vqgan.yaml` + `vqgan.ckpt` (Chameleon's own release); its parameter names are ours, the
  training loss's weights (`loss.*`) are left out;
* Hugging Face's `chameleon` (the whole model; the VQGAN's tensors start with `model.vqmodel.`), without decoder;
* Hugging Face's `chameleon_vqgan` alone, with a decoder when this project saved it.
"""

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import safe_open
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig

from unix_lib.config.tokenizers import VQGANShape
from unix_lib.tokenizers.vqgan import VQGAN, ImageTokenizerError

YAML_FILE, CHECKPOINT_FILE = "vqgan.yaml", "vqgan.ckpt"
CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE = "config.json", "model.safetensors", "model.safetensors.index.json"
VQGAN_PREFIXES = ("model.vqmodel.", "vqmodel.", "")
PARTS = ("encoder.", "quant_conv.", "quantize.", "post_quant_conv.", "decoder.")
# What must agree with tokenizers.image.shape, by transformers' name -> the config's.
SHAPE_KEYS = {
    "num_embeddings": "codebook_size",
    "resolution": "image_size",
    "embed_dim": "embedding_width",
    "latent_channels": "latent_width",
    "base_channels": "base_channels",
    "channel_multiplier": "channel_multipliers",
    "num_res_blocks": "residual_blocks",
    "attn_type": "attention",
}


def read_pretrained(path: str, revision: str, wanted: ChameleonVQVAEConfig) -> VQGAN:
    """Read published weights from a local folder, or of a hub id whose files are in the local cache.

    Raises:
        ImageTokenizerError: nothing to read, a shape that disagrees, missing or misshapen tensors.
    """
    folder = local_folder(path, revision)
    config = config_in(folder)
    if (folder / YAML_FILE).is_file():
        tensors = tensors_from_checkpoint(folder / CHECKPOINT_FILE)
    else:
        tensors = tensors_from_safetensors(folder)
    check_shape(folder, config, wanted)
    model = VQGAN(config, with_decoder=any(name.startswith("decoder.") for name in tensors))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ImageTokenizerError(
            f"{folder}: the weights don't fit the architecture that the folder's own config describes "
            f"({' '.join(str(error).split())[:300]}); fetch the files again"
        ) from None
    return model


def config_in(folder: Path) -> ChameleonVQVAEConfig:
    """The architecture of published weights.

    Raises:
        ImageTokenizerError: there are none.
    """
    if (folder / YAML_FILE).is_file():
        return config_from_yaml(folder / YAML_FILE)
    if (folder / CONFIG_FILE).is_file():
        return config_from_json(folder / CONFIG_FILE)
    raise ImageTokenizerError(
        f"tokenizers.image.path: {folder} has neither {YAML_FILE} + {CHECKPOINT_FILE} nor {CONFIG_FILE} + "
        f"{WEIGHTS_FILE}; point it to a folder with one of the two"
    )


def shape_of(config: ChameleonVQVAEConfig) -> VQGANShape:
    """The shape that a config section would give of an architecture."""
    values = {key: getattr(config, name) for name, key in SHAPE_KEYS.items()}
    return VQGANShape.model_validate(values | {"attention": config.attn_type == "vanilla"})


def local_folder(path: str, revision: str) -> Path:
    """A local folder as it is; a hub id's folder in the local cache. Jobs run offline, so nothing is downloaded."""
    if Path(path).is_dir():
        return Path(path)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(path, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        raise ImageTokenizerError(
            f"tokenizers.image.path: {path} is no local folder and revision {revision} of it is not in the local "
            "cache; run `unix-lib fetch <config>` where there is a network"
        ) from None


def config_from_yaml(path: Path) -> ChameleonVQVAEConfig:
    """The architecture that a `vqgan.yaml` describes (`model.params.ddconfig`)."""
    try:
        parameters = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["params"]
        shape = parameters["ddconfig"]
        return ChameleonVQVAEConfig(
            embed_dim=parameters["embed_dim"],
            num_embeddings=parameters["n_embed"],
            double_latent=shape.get("double_z", False),
            latent_channels=shape["z_channels"],
            resolution=shape["resolution"],
            in_channels=shape["in_channels"],
            base_channels=shape["ch"],
            channel_multiplier=list(shape["ch_mult"]),
            num_res_blocks=shape["num_res_blocks"],
            attn_resolutions=list(shape.get("attn_resolutions") or []) or None,
            dropout=shape.get("dropout", 0.0),
            attn_type=shape.get("attn_type", "vanilla"),
        )
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ImageTokenizerError(
            f"{path}: not a VQGAN's description ({type(error).__name__}: {error}); fetch it again"
        ) from None


def config_from_json(path: Path) -> ChameleonVQVAEConfig:
    """The architecture in a Hugging Face `config.json`, alone or as `vq_config` of a whole Chameleon."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ImageTokenizerError(f"{path}: not JSON ({error}); fetch it again") from None
    values = values.get("vq_config", values)
    known = ChameleonVQVAEConfig().to_dict()
    return ChameleonVQVAEConfig(**{name: value for name, value in values.items() if name in known})


def tensors_from_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a `vqgan.ckpt`, under `state_dict` or at the top; nothing but tensors is unpickled."""
    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ImageTokenizerError(f"{path}: missing, but {YAML_FILE} is there; fetch it again") from None
    except Exception as error:  # damaged zip, pickled code: torch raises many types
        raise ImageTokenizerError(
            f"{path}: can't be read as plain tensors ({' '.join(str(error).split())[:200]}); fetch it again, or save "
            "its `state_dict` alone with torch.save"
        ) from None
    values = values.get("state_dict", values)
    return {name: tensor.float() for name, tensor in values.items() if name.startswith(PARTS)}


def tensors_from_safetensors(folder: Path) -> dict[str, torch.Tensor]:
    """The VQGAN's tensors out of one or several safetensors files; other tensors are not read."""
    index = folder / INDEX_FILE
    try:
        names = (
            sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            if index.is_file()
            else [WEIGHTS_FILE]
        )
        tensors = {}
        for name in names:
            with safe_open(folder / name, framework="pt") as file:
                for stored in file.keys():  # noqa: SIM118 - not a dictionary
                    own = _own_name(stored)
                    if own is not None:
                        tensors[own] = file.get_tensor(stored).float()
    except Exception as error:
        raise ImageTokenizerError(
            f"{folder}: can't read the weights ({type(error).__name__}: {error}); fetch them again"
        ) from None
    return tensors


def _own_name(stored: str) -> str | None:
    for prefix in VQGAN_PREFIXES:
        if stored.startswith(prefix) and stored[len(prefix) :].startswith(PARTS):
            return stored[len(prefix) :]
    return None


def check_shape(folder: Path, found: ChameleonVQVAEConfig, wanted: ChameleonVQVAEConfig) -> None:
    """Refuse weights of another shape than the config's: the vocabulary and the packs were planned with it."""
    for name, key in SHAPE_KEYS.items():
        have, want = getattr(found, name), getattr(wanted, name)
        if (list(have) if isinstance(have, tuple) else have) != want:
            raise ImageTokenizerError(
                f"tokenizers.image.shape.{key} is {want}, but {folder} has {have}; set the file's value in the config"
            )

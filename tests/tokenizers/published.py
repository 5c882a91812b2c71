"""A VQGAN of some size as its authors publish one."""

from pathlib import Path
from typing import Any

import torch
import yaml
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig

from unix_lib.config.tokenizers import VQGANShape
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

SHAPE = VQGANShape(
    codebook_size=24,
    image_size=16,
    embedding_width=6,
    latent_width=10,
    base_channels=32,
    channel_multipliers=[1, 2, 1],
    residual_blocks=2,
    attention=True,
)


def some_vqgan(config: ChameleonVQVAEConfig | None = None, *, with_decoder: bool = True) -> VQGAN:
    model = VQGAN(config or vqgan_config(SHAPE), with_decoder=with_decoder)
    model.initialize_afresh(seed=3)
    return model


def some_pixels(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, SHAPE.image_size, SHAPE.image_size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def write_taming_folder(folder: Path, model: VQGAN, **changed: Any) -> None:
    """`vqgan.yaml` + `vqgan.ckpt` as the VQGAN's authors publish them."""
    ddconfig = {
        "double_z": False,
        "z_channels": 10,
        "resolution": 16,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1, 2, 1],
        "num_res_blocks": 2,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    params = {"embed_dim": 6, "n_embed": 24, "lossconfig": {"target": "x"}, "ddconfig": ddconfig | changed}
    folder.mkdir()
    (folder / "vqgan.yaml").write_text(yaml.safe_dump({"model": {"target": "y", "params": params}}))
    state = dict(model.state_dict()) | {"loss.discriminator.main.0.weight": torch.zeros(4)}
    torch.save({"state_dict": state, "global_step": 7}, folder / "vqgan.ckpt")

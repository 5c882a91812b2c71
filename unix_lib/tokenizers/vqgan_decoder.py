"""Decodes quantized latents to pixels: the VQGAN's decoder.

The mirror of transformers' `ChameleonVQVAEEncoder`, built from the same blocks. Module names follow taming-transformers
(arXiv 2012.09841), so that the decoder of a published `vqgan.ckpt` loads key by key. One residual block more per level
than the encoder has, nearest-neighbour upsampling followed by a convolution.

Shapes: B batch, L latent channels, G codes along a side, S pixels along a side, S = G * 2**(levels - 1).
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig
from transformers.models.chameleon.modeling_chameleon import (
    ChameleonVQVAEEncoderAttnBlock,
    ChameleonVQVAEEncoderResnetBlock,
)

from unix_lib.config.tokenizers import GROUPS


def _attention(config: ChameleonVQVAEConfig, channels: int) -> nn.Module:
    return ChameleonVQVAEEncoderAttnBlock(channels) if config.attn_type == "vanilla" else nn.Identity()


class Upsample(nn.Module):
    """Twice the side: nearest neighbour, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        larger: torch.Tensor = self.conv(functional.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        return larger


class Middle(nn.Module):
    """Residual block, attention, residual block at the coarsest level."""

    def __init__(self, config: ChameleonVQVAEConfig, channels: int) -> None:
        super().__init__()
        self.block_1 = ChameleonVQVAEEncoderResnetBlock(config, channels, channels)
        self.attn_1 = _attention(config, channels)
        self.block_2 = ChameleonVQVAEEncoderResnetBlock(config, channels, channels)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.block_2(self.attn_1(self.block_1(hidden)))
        return changed


class Level(nn.Module):
    """The residual blocks of one resolution, and the step up to the next finer one."""

    def __init__(
        self, config: ChameleonVQVAEConfig, channels_in: int, channels_out: int, *, attention: bool, finest: bool
    ) -> None:
        super().__init__()
        widths = [channels_in] + [channels_out] * (config.num_res_blocks + 1)
        self.block = nn.ModuleList(
            ChameleonVQVAEEncoderResnetBlock(config, before, after) for before, after in pairwise(widths)
        )
        self.attn = nn.ModuleList(_attention(config, channels_out) for _ in self.block if attention)
        if not finest:
            self.upsample = Upsample(channels_out)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for index, block in enumerate(self.block):
            hidden = block(hidden)
            if self.attn:
                hidden = self.attn[index](hidden)
        return self.upsample(hidden) if hasattr(self, "upsample") else hidden


class VQGANDecoder(nn.Module):
    """Latents float32 (B, L, G, G) to pixels float32 (B, 3, S, S), not clamped."""

    def __init__(self, config: ChameleonVQVAEConfig) -> None:
        super().__init__()
        widths = [config.base_channels * multiplier for multiplier in config.channel_multiplier]
        levels = len(widths)
        self.conv_in = nn.Conv2d(config.latent_channels, widths[-1], kernel_size=3, padding=1)
        self.mid = Middle(config, widths[-1])
        # up[0] is the finest level, as in the published layout; `forward` walks from the coarsest.
        self.up = nn.ModuleList(
            Level(
                config,
                widths[min(level + 1, levels - 1)],
                widths[level],
                attention=config.resolution // 2**level in (config.attn_resolutions or ()),
                finest=level == 0,
            )
            for level in range(levels)
        )
        self.norm_out = nn.GroupNorm(GROUPS, widths[0], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[0], config.in_channels, kernel_size=3, padding=1)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        hidden = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            hidden = level(hidden)
        pixels: torch.Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return pixels

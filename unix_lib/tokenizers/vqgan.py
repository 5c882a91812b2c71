"""Builds a VQGAN of Chameleon's class: transformers' `ChameleonVQVAE`, encoder and quantizer, and our decoder behind.

A subclass, so that what encodes here *is* transformers' code, and so that parameter names are those of
taming-transformers (encoder.*, quant_conv.*, quantize.*, post_quant_conv.*, decoder.*).

Shapes: B batch, E embedding width, K codebook, G codes along a side, S pixels along a side. Codes are row-major.
"""

import torch
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig
from transformers.models.chameleon.modeling_chameleon import ChameleonVQVAE

from unix_lib.artefacts.errors import UserError
from unix_lib.config.tokenizers import VQGANShape
from unix_lib.tokenizers.vqgan_decoder import VQGANDecoder

DISTANCES_AT_ONCE = 16_384  # latents that are compared with all codes: 0.5 GB of distances to 8,192 of them


class ImageTokenizerError(UserError):
    """An image tokenizer that can't be built, read or asked for what it lacks."""


def vqgan_config(shape: VQGANShape) -> ChameleonVQVAEConfig:
    """transformers' config of a shape."""
    return ChameleonVQVAEConfig(
        embed_dim=shape.embedding_width,
        num_embeddings=shape.codebook_size,
        latent_channels=shape.latent_width,
        resolution=shape.image_size,
        base_channels=shape.base_channels,
        channel_multiplier=list(shape.channel_multipliers),
        num_res_blocks=shape.residual_blocks,
        attn_type="vanilla" if shape.attention else "none",
    )


def grid_of(config: ChameleonVQVAEConfig) -> int:
    """G, codes along one side of an image."""
    return config.resolution >> (len(config.channel_multiplier) - 1)


class VQGAN(ChameleonVQVAE):
    """Encoder, quantizer and, where its weights are known, decoder."""

    def __init__(self, config: ChameleonVQVAEConfig, *, with_decoder: bool = True) -> None:
        super().__init__(config)
        self.decoder = VQGANDecoder(config) if with_decoder else None
        self.eval()

    def latents(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels float32 (B, 3, S, S) to latents before quantization, (B, E, G, G)."""
        latents: torch.Tensor = self.quant_conv(self.encoder(pixels.to(self.quant_conv.weight.dtype)))
        return latents

    def codes(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels float32 (B, 3, S, S) in [-1, 1] to codes int64 (B, G*G).

        Distances to codes are float32's whatever the encoder computes in, and of some images at a time.
        """
        latents = self.latents(pixels).float()
        images = max(1, DISTANCES_AT_ONCE // latents[0, 0].numel())
        return torch.cat([self.quantize(some)[2] for some in latents.split(images)]).view(len(pixels), -1)

    def pixels_from_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, E, G, G), quantized or not, to pixels (B, 3, S, S), not clamped.

        Raises:
            ImageTokenizerError: this VQGAN has no decoder.
        """
        if self.decoder is None:
            raise ImageTokenizerError(
                "this image tokenizer has no decoder (Hugging Face's Chameleon weights hold only the encoder); to make "
                "images, point tokenizers.image.path to a folder with vqgan.yaml and vqgan.ckpt"
            )
        pixels: torch.Tensor = self.decoder(self.post_quant_conv(latents))
        return pixels

    def pixels(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes int64 (B, G*G) to pixels float32 (B, 3, S, S), not clamped."""
        grid = grid_of(self.config)
        latents = self.quantize.embedding(codes).view(codes.shape[0], grid, grid, -1).permute(0, 3, 1, 2)
        return self.pixels_from_latents(latents.contiguous())

    def initialize_afresh(self, seed: int) -> None:
        """Fresh weights by PyTorch's own rule for each layer, as the VQGAN's authors start; the codebook comes later.

        transformers' N(0, 0.02) suits transformers; small residual stacks learn slowly from it.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in self.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()  # type: ignore[operator]

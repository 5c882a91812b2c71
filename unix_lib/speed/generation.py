"""Image codes with guidance: our decoding, transformers' own generate loop, and the plain loop.

All sample from the whole distribution (temperature 1, no top-k, no top-p), which is the cheapest for each of them, and
begin with the same prompts. transformers' guidance runs the two branches one after the other and picks from all rows of
the vocabulary.
"""

from typing import Any

import numpy as np
import torch

from unix_lib.config.generate import ImageSampling
from unix_lib.config.models import PlanConfig
from unix_lib.inference.batches import generate_images
from unix_lib.inference.engine import Engine
from unix_lib.inference.weights import BranchWeights
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.start import parameter_counts
from unix_lib.speed.decoders import SEED, DecoderSize, left_padded, prompts, unconditional
from unix_lib.speed.measuring import Run
from unix_lib.speed.plain_loop import plain_images

GUIDANCE = 3.0
SAMPLING: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
OURS = ImageSampling(guidance_scale=GUIDANCE, **SAMPLING)


def our_images(
    size: DecoderSize,
    plan: PlanConfig,
    batch: int,
    device: torch.device,
    *,
    batch_invariant: bool = True,
    cuda_graph: bool = False,
) -> Run:
    """Our engine, with as many rows as the batch fills."""
    model = size.decoder(plan, device).eval()
    engine = Engine(model, rows=2 * batch, batch_invariant=batch_invariant, cuda_graph=cuda_graph)
    return lambda: generate_images(engine, prompts(size, batch), unconditional(size), list(range(batch)), OURS)


def weights_read(size: DecoderSize, plan: PlanConfig, batch: int, device: torch.device) -> Run:
    """Nothing but the matrix products of as many steps, in the layout of our engine: what it can at best reach."""
    model, rows = size.decoder(plan, device).eval(), 2 * batch
    weights = BranchWeights(model, rows)
    hidden = torch.randn(rows, size.width, dtype=size.dtype, device=device)
    attended = torch.randn(rows, size.heads * (size.width // size.heads), dtype=size.dtype, device=device)
    gated = torch.randn(rows, size.intermediate, dtype=size.dtype, device=device)

    @torch.inference_mode()
    def run() -> None:
        for _ in range(size.codes_per_image):
            for layer in weights.layers(True):
                attention: Any = layer.self_attn
                ffn: Any = layer.mlp
                for product, given in (
                    (attention.together, hidden),
                    (attention.o_proj, attended),
                    (ffn.gate_up, hidden),
                    (ffn.down, gated),
                ):
                    product(given)
            weights.head(True)(hidden)

    return run


def loop_images(size: DecoderSize, plan: PlanConfig, batch: int, device: torch.device) -> Run:
    """The plain loop."""
    model, seeds = size.decoder(plan, device).eval(), list(range(batch))
    return lambda: plain_images(
        model, prompts(size, batch), unconditional(size), seeds, guidance_scale=GUIDANCE, **SAMPLING
    )


def transformers_images(size: DecoderSize, batch: int, device: torch.device) -> Run:
    """transformers' `generate()` of Qwen2, with its cache."""
    model = size.qwen(device).eval()
    ids, mask = left_padded(prompts(size, batch), device)
    free = torch.tensor([unconditional(size)] * batch, device=device)

    def run() -> torch.Tensor:
        torch.manual_seed(SEED)
        images: torch.Tensor = model.generate(
            ids,
            attention_mask=mask,
            guidance_scale=GUIDANCE,
            negative_prompt_ids=free,
            do_sample=True,
            min_new_tokens=size.codes_per_image,
            max_new_tokens=size.codes_per_image,
            **SAMPLING,
        )
        return images

    return run


def bytes_per_step(model: UnixForCausalLM, size: DecoderSize, batch: int) -> float:
    """Bytes that a step of image generation must read: the vision branch, the image rows of the head, the caches."""
    embedding: torch.Tensor = model.model.embed_tokens.weight
    weights = parameter_counts(model)["vision"] - embedding.numel() + size.codebook * size.width
    lengths = [len(prompt) for prompt in prompts(size, batch)] + [len(unconditional(size))] * batch
    cached = sum(lengths) + len(lengths) * size.codes_per_image / 2
    cache_values = 2 * size.layers * size.key_value_heads * (size.width // size.heads)
    return embedding.element_size() * (weights + cached * cache_values)


@torch.inference_mode()
def alone_and_in_a_batch(
    model: UnixForCausalLM, size: DecoderSize, batch: int, *, batch_invariant: bool
) -> tuple[float, float]:
    """How the images of a batch differ from the same requests alone: share of images, and of codes, that are others."""

    def engine() -> Engine:
        return Engine(model, rows=2 * batch, batch_invariant=batch_invariant)

    rows, free, seeds = prompts(size, batch), unconditional(size), list(range(batch))
    together = generate_images(engine(), rows, free, seeds, OURS)
    alone = [generate_images(engine(), [row], free, [seed], OURS) for row, seed in zip(rows, seeds, strict=True)]
    differs = together != np.concatenate(alone)
    return float(differs.any(axis=1).mean()), float(differs.mean())

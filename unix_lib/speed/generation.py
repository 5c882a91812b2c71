"""Image codes with guidance: our decoding, transformers' own generate loop, and the plain loop.

All sample from the whole distribution (temperature 1, no top-k, no top-p), which is the cheapest for each of them, and
begin with the same prompts. transformers' guidance runs the two branches one after the other and picks from all rows of
the vocabulary.
"""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from unix_lib.config.models import PlanConfig
from unix_lib.generate import generate_images
from unix_lib.generate.decoding import Decoding
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.start import parameter_counts
from unix_lib.speed.decoders import SEED, DecoderSize, left_padded, prompts, unconditional
from unix_lib.speed.measuring import Run
from unix_lib.speed.plain_loop import plain_images

GUIDANCE = 3.0
SAMPLING: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


def our_images(size: DecoderSize, plan: PlanConfig, batch: int, device: torch.device, *, cuda_graph: bool) -> Run:
    """Our decoding."""
    model = size.decoder(plan, device).eval()
    return lambda: generate_images(
        model,
        prompts(size, batch),
        unconditional(size),
        list(range(batch)),
        guidance_scale=GUIDANCE,
        batch_size=batch,
        cuda_graph=cuda_graph,
        **SAMPLING,
    )


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
def alone_and_in_a_batch(model: UnixForCausalLM, size: DecoderSize, batch: int) -> np.ndarray:
    """How far log-probabilities of given codes in a batch are from those of each request alone, nats (batch, codes).

    Codes are fed, not sampled, so that both see the same.
    """
    random = np.random.default_rng(SEED)
    codes = torch.from_numpy(random.integers(0, size.codebook, (batch, size.codes_per_image))).to(model.device)
    rows = prompts(size, batch)
    together = _log_probabilities(model, rows, codes)
    alone = [_log_probabilities(model, [row], codes[place : place + 1]) for place, row in enumerate(rows)]
    return (together - torch.cat(alone)).abs().cpu().numpy()


def _log_probabilities(model: UnixForCausalLM, rows: list[list[int]], codes: torch.Tensor) -> torch.Tensor:
    """Log-probability of each code after the ones before it, float64 (R, codes)."""
    config = model.config
    head = model.lm_head.weight[config.image_rows]
    decoding = Decoding(model, rows, vision=codes.shape[1] - 1)
    found = []
    for place in range(codes.shape[1]):
        wide = torch.log_softmax(functional.linear(decoding.hidden, head).double(), dim=-1)
        found.append(wide.gather(1, codes[:, place, None]))
        if place + 1 < codes.shape[1]:
            decoding.step(codes[:, place] + config.image_offset, vision=True)
    return torch.cat(found, dim=1)

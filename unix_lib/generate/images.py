"""Images from text: image codes sampled with classifier-free guidance, both branches in one batch."""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from unix_lib.generate.decoding import Decoding
from unix_lib.generate.sampling import check_guidance, check_sampling, sample, uniforms
from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM


def image_steps(model: UnixForCausalLM) -> int:
    """Tokens that are fed back while an image is generated: its codes and separators before the last code."""
    codes, every = int(model.config.codes_per_image), model.config.separator_every
    return codes - 1 + ((codes - 1) // every if every else 0)


@torch.inference_mode()
def generate_images(
    model: UnixForCausalLM,
    prompts: list[list[int]],
    unconditional: list[int],
    seeds: list[int],
    *,
    guidance_scale: float,
    temperature: float,
    top_k: int,
    top_p: float,
    batch_size: int,
    cuda_graph: bool = False,
) -> npt.NDArray[np.uint16]:
    """Sample one image per prompt.

    Guidance works on raw logits: u + s (c - u) (as in the paper). The head computes the rows of the image codes only.

    Args:
        prompts: token ids of each request, ending with `<|vision_start|>`.
        unconditional: token ids of the unconditional prompt, ending likewise.
        seeds: one per request; a request's image depends on its prompt and seed, not on its batch.
        guidance_scale: s; 1 leaves the unconditional branch out.
        temperature: of the softmax; 0 takes the most probable code. top_k: codes kept, 0 keeps all. top_p: probability
            mass kept.
        batch_size: images decoded together (twice as many sequences with guidance).
        cuda_graph: see `Decoding`.

    Returns:
        codes, (requests, codes_per_image), row-major, 0..codebook_size.

    Raises:
        ModelError: a prompt that doesn't end with `<|vision_start|>` or is too long, sampling settings without meaning,
            a guidance scale without, or a count of seeds that doesn't match.
    """
    config = model.config
    check_guidance(guidance_scale)
    check_sampling(len(prompts), seeds, temperature, top_k, top_p)
    for prompt in [*prompts, unconditional]:
        if not prompt or prompt[-1] != config.vision_start_id:
            raise ModelError(
                f"a prompt for an image must end with <|vision_start|> (id {config.vision_start_id}), not with "
                f"{prompt[-1] if prompt else 'nothing'}"
            )
    codes = np.empty((len(prompts), config.codes_per_image), dtype=np.uint16)
    head = model.lm_head.weight[config.image_rows]
    guided = guidance_scale != 1.0
    every = config.separator_every or config.codes_per_image
    # Neighbours in length decode together: less of the caches is padding.
    order = sorted(range(len(prompts)), key=lambda request: len(prompts[request]))
    for begin in range(0, len(order), batch_size):
        requests = order[begin : begin + batch_size]
        rows = [prompts[request] for request in requests] + [unconditional] * (len(requests) if guided else 0)
        decoding = Decoding(model, rows, vision=image_steps(model), cuda_graph=cuda_graph)
        numbers = torch.from_numpy(uniforms([seeds[request] for request in requests], config.codes_per_image))
        numbers = numbers.to(model.device)
        sampled: list[torch.Tensor] = []
        while True:
            logits = functional.linear(decoding.hidden, head).float()
            if guided:
                conditional, free = logits.chunk(2)
                logits = free + guidance_scale * (conditional - free)
            uniform = numbers[:, len(sampled)]
            sampled.append(sample(logits, uniform, temperature=temperature, top_k=top_k, top_p=top_p))
            if len(sampled) == config.codes_per_image:
                break
            ids = sampled[-1] + config.image_offset
            decoding.step(torch.cat([ids, ids]) if guided else ids, vision=True)
            if len(sampled) % every == 0:  # not sampled: a separator's place is known
                decoding.step(torch.full((len(rows),), config.separator_id or 0, device=ids.device), vision=True)
        codes[requests] = torch.stack(sampled, dim=1).cpu().numpy().astype(np.uint16)
    return codes

"""Text from text and images: the most probable tokens, or sampled ones."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from unix_lib.generate.decoding import Decoding
from unix_lib.generate.sampling import check_sampling, sample, uniforms
from unix_lib.models.decoder import UnixForCausalLM


@torch.inference_mode()
def generate_text(
    model: UnixForCausalLM,
    prompts: list[list[int]],
    *,
    max_new_tokens: int,
    stop_ids: Sequence[int],
    batch_size: int,
    seeds: Sequence[int] | None = None,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    cuda_graph: bool = False,
) -> list[list[int]]:
    """Continue each prompt with text tokens; the head computes the rows of text only.

    Args:
        prompts: token ids, text and image codes mixed.
        max_new_tokens: longest continuation, at least 1.
        stop_ids: a continuation ends before the first of these.
        batch_size: prompts decoded together.
        seeds: one per request; needed where tokens are sampled, that is, where the temperature is not 0.
        temperature: of the softmax; 0 takes the most probable token. top_k: tokens kept, 0 keeps all. top_p:
            probability mass kept.
        cuda_graph: see `Decoding`.

    Returns:
        the new tokens of each prompt, without the stop token.

    Raises:
        ModelError: an empty or too long prompt, sampling settings without meaning, or seeds that don't match.
    """
    config = model.config
    if seeds is None:
        seeds = [0] * len(prompts) if temperature == 0 else []
    check_sampling(len(prompts), seeds, temperature, top_k, top_p)
    head = model.lm_head.weight[: config.text_size]
    answers: list[list[int]] = [[] for _ in prompts]
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    order = sorted(range(len(prompts)), key=lambda request: len(prompts[request]))
    for begin in range(0, len(order), batch_size):
        requests = order[begin : begin + batch_size]
        decoding = Decoding(
            model, [prompts[request] for request in requests], text=max_new_tokens - 1, cuda_graph=cuda_graph
        )
        drawn = uniforms([seeds[request] for request in requests], max_new_tokens)
        numbers = torch.from_numpy(drawn).to(model.device)
        chosen: list[torch.Tensor] = []
        ended = torch.zeros(len(requests), dtype=torch.bool, device=model.device)
        while True:
            logits = functional.linear(decoding.hidden, head).float()
            logits[:, config.vision_start_id] = -torch.inf  # opens an image, so it is not text
            if config.separator_id is not None:
                logits[:, config.separator_id] = -torch.inf
            uniform = numbers[:, len(chosen)]
            chosen.append(sample(logits, uniform, temperature=temperature, top_k=top_k, top_p=top_p))
            ended |= torch.isin(chosen[-1], stops)
            if len(chosen) == max_new_tokens or bool(ended.all()):
                break
            decoding.step(chosen[-1], vision=False)
        for request, tokens in zip(requests, torch.stack(chosen, dim=1).tolist(), strict=True):
            stop = next((place for place, token in enumerate(tokens) if token in stop_ids), len(tokens))
            answers[request] = tokens[:stop]
    return answers

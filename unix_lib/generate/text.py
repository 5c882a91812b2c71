"""Text from text and images, greedy."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from unix_lib.generate.decoding import Decoding
from unix_lib.models.decoder import UnixForCausalLM


@torch.inference_mode()
def generate_text(
    model: UnixForCausalLM,
    prompts: list[list[int]],
    *,
    max_new_tokens: int,
    stop_ids: Sequence[int],
    batch_size: int,
) -> list[list[int]]:
    """Continue each prompt with its most probable text tokens.

    Args:
        prompts: token ids, text and image codes mixed.
        max_new_tokens: longest continuation.
        stop_ids: a continuation ends before the first of these.
        batch_size: prompts decoded together.

    Returns:
        the new tokens of each prompt, without the stop token.
    """
    config = model.config
    head = model.lm_head.weight[: config.text_size]
    answers: list[list[int]] = [[] for _ in prompts]
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    order = sorted(range(len(prompts)), key=lambda request: len(prompts[request]))
    for begin in range(0, len(order), batch_size):
        requests = order[begin : begin + batch_size]
        decoding = Decoding(model, [prompts[request] for request in requests], max_new_tokens - 1, vision=False)
        chosen: list[torch.Tensor] = []
        ended = torch.zeros(len(requests), dtype=torch.bool, device=model.device)
        while True:
            logits = functional.linear(decoding.hidden, head)
            logits[:, config.vision_start_id] = -torch.inf  # opens an image, so it is not text
            if config.separator_id is not None:
                logits[:, config.separator_id] = -torch.inf
            chosen.append(logits.argmax(-1))
            ended |= torch.isin(chosen[-1], stops)
            if len(chosen) == max_new_tokens or bool(ended.all()):
                break
            decoding.step(chosen[-1])
        for request, tokens in zip(requests, torch.stack(chosen, dim=1).tolist(), strict=True):
            stop = next((place for place, token in enumerate(tokens) if token in stop_ids), len(tokens))
            answers[request] = tokens[:stop]
    return answers

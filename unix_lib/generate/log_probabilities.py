"""How probable a model finds given continuations, in packed forward passes: what lm-eval's numbers are held against."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch, move_batch


@torch.inference_mode()
def sequence_log_probabilities(
    model: UnixForCausalLM,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    batch_size: int = 64,
) -> npt.NDArray[np.float64]:
    """Sum of the log-probabilities of each continuation's tokens after its prompt, in nats, (N,).

    Args:
        prompts, continuations: N lists of token ids, text and image codes mixed, none empty.
        batch_size: sequences scored together.

    Raises:
        ModelError: an empty prompt or continuation.
    """
    scores = np.empty(len(prompts))
    for place, (prompt, continuation) in enumerate(zip(prompts, continuations, strict=True)):
        if not len(prompt) or not len(continuation):
            raise ModelError(f"sequence {place} has an empty prompt or continuation; give each at least one token")
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]) + len(continuations[place]))
    for begin in range(0, len(order), batch_size):
        places = order[begin : begin + batch_size]
        pack = Documents.of(
            [[*prompts[place], *continuations[place]] for place in places],
            [[False] * len(prompts[place]) + [True] * len(continuations[place]) for place in places],
        )
        output = model(**move_batch(build_batch([pack], model.config), model.device))
        losses = output.target_losses.double().cpu().numpy()
        begins = np.cumsum([0] + [len(continuations[place]) for place in places[:-1]])
        scores[places] = -np.add.reduceat(losses, begins)
    return scores

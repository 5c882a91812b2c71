"""Prompts of the small models, and how they are continued without caches."""

from collections.abc import Sequence

import numpy as np
import torch

from tests.models.small import VOCABULARY, image, logits_of, text
from unix_lib.config.generate import ImageSampling
from unix_lib.inference.sampling import sample, uniforms
from unix_lib.models import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch

START, END = VOCABULARY.vision_start_id, VOCABULARY.vision_end_id
OFFSET, CODES = VOCABULARY.image_offset, VOCABULARY.codes_per_image
SAMPLING = {"temperature": 0.9, "top_k": 0, "top_p": 0.95}


def images(guidance_scale: float = 2.0, **settings: float) -> ImageSampling:
    """How images are sampled; not validated, so that a test can say what no config may."""
    return ImageSampling().model_copy(update=SAMPLING | {"guidance_scale": guidance_scale} | settings)


def prompts_for_images() -> list[list[int]]:
    random = np.random.default_rng(4)
    return [
        [*text(random, 3), START],
        [START],
        [*text(random, 11), START],
        text(random, 2) + image(random) + text(random, 3) + [START],
        [*text(random, 3), START],
        image(random) + image(random) + [START],
    ]


def prompts_for_text() -> list[list[int]]:
    random = np.random.default_rng(6)
    return [
        text(random, 1),
        image(random) + text(random, 6),
        text(random, 20),
        text(random, 4) + image(random),
        [START, OFFSET + 4],
        image(random) + text(random, 2) + image(random) + text(random, 2),
    ]


@torch.no_grad()
def last_logits(model: UnixForCausalLM, ids: Sequence[int]) -> torch.Tensor:
    return logits_of(model, [list(ids)])[0][-1]


@torch.no_grad()
def packed_logits(model: UnixForCausalLM, ids: Sequence[int]) -> torch.Tensor:
    """The same for a model whose config has other special ids than the small vocabulary."""
    return model(**build_batch([Documents.of([list(ids)])], model.config), return_logits=True).logits[-1]


def drawn_without_caches(
    model: UnixForCausalLM, prompt: list[int], free: list[int], numbers: Sequence[float], scale: float
) -> list[int]:
    """Ids of an image, separators among them, each token from a forward pass over all before it."""
    taken: list[int] = []
    for position, number in enumerate(numbers, start=1):
        conditional, unconditional = packed_logits(model, prompt + taken), packed_logits(model, free + taken)
        logits = (unconditional + scale * (conditional - unconditional))[OFFSET : VOCABULARY.size]
        taken.append(int(sample(logits[None], torch.tensor([number]), **SAMPLING)) + OFFSET)
        if model.config.separator_every and position % model.config.separator_every == 0:
            taken.append(model.config.separator_id)
    return taken


def numbers_of(seed: int, count: int) -> Sequence[float]:
    return uniforms([seed], count)[0].tolist()


def written_without_caches(
    model: UnixForCausalLM, prompt: list[int], count: int, numbers: Sequence[float]
) -> list[int]:
    """Sampled text ids, each from a forward pass over all before it; without numbers the most probable ones."""
    taken: list[int] = []
    for place in range(count):
        logits = last_logits(model, prompt + taken)[: VOCABULARY.text_size].clone()
        logits[START] = -torch.inf
        number = torch.tensor([numbers[place]]) if numbers else None
        taken.append(int(logits.argmax() if number is None else sample(logits[None], number, **SAMPLING)))
    return taken

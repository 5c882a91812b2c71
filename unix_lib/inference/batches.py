"""Many requests of one kind, served to their ends: images from text, text from text and images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unix_lib.config.generate import ImageSampling
from unix_lib.inference.engine import Engine
from unix_lib.inference.requests import Request, TextSampling
from unix_lib.models.configuration import ModelError, UnixConfig


def generate_images(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    unconditional: Sequence[int],
    seeds: Sequence[int],
    sampling: ImageSampling,
) -> npt.NDArray[np.uint16]:
    """Sample one image per prompt.

    Args:
        prompts: token ids of each request, ending with `<|vision_start|>`.
        unconditional: token ids of the unconditional prompt, ending likewise.
        seeds: one per request.

    Returns:
        codes, (requests, codes_per_image), row-major, 0..codebook_size.

    Raises:
        ModelError: a request that can't be served, or a count of seeds that doesn't match.
    """
    _require_as_many(prompts, seeds)
    asked = [
        Request(prompt, seed, image=sampling, unconditional=unconditional)
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    codes = np.empty((len(asked), engine.model.config.codes_per_image), dtype=np.uint16)
    for place, tokens in enumerate(engine.run(asked)):
        codes[place] = codes_in(tokens, engine.model.config)
    return codes


def generate_text(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    sampling: TextSampling,
    *,
    stop_ids: Sequence[int],
    seeds: Sequence[int] | None = None,
) -> list[list[int]]:
    """Continue each prompt with text tokens.

    Args:
        prompts: token ids, text and image codes mixed.
        stop_ids: a continuation ends before the first of these.
        seeds: one per request; needed where tokens are sampled, that is, where the temperature is not 0.

    Returns:
        the new tokens of each prompt, without the stop token.

    Raises:
        ModelError: a request that can't be served, or a count of seeds that doesn't match.
    """
    if seeds is None and sampling.temperature == 0:
        seeds = [0] * len(prompts)
    _require_as_many(prompts, seeds or [])
    return engine.run(
        Request(prompt, seed, text=sampling, stop_ids=stop_ids)
        for prompt, seed in zip(prompts, seeds or [], strict=True)
    )


def codes_in(tokens: Sequence[int], config: UnixConfig) -> list[int]:
    """The image codes, 0..codebook_size, among ids."""
    rows = config.image_rows
    return [token - rows.start for token in tokens if rows.start <= token < rows.stop]


def _require_as_many(prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> None:
    if len(prompts) != len(seeds):
        raise ModelError(f"{len(prompts)} prompts and {len(seeds)} seeds; give one seed per prompt")

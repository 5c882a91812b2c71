"""The gradients of the conflict analysis: a backward for each chunk, one for all of them, and training on the same.

One backward over a batch of many chunks can tell their gradients apart: a weight's is the sum over tokens of the
output's gradient times the input, so hooks that keep both add up the tokens of each chunk. It is as many products, in
fewer passes. The analysis takes a backward for each chunk, the simpler of the two, as long as this is not faster.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unix_lib.analyze.conflict import chunk_gradient, projections_of
from unix_lib.config.models import SharedPlan
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch, is_vision
from unix_lib.speed.decoders import SEED, DecoderSize
from unix_lib.speed.measuring import Open, Run, take_turns
from unix_lib.speed.model import Row

CHUNKS, DOCUMENTS = 8, 4  # per modality, per chunk
TEXT_TOKENS = (60, 250)
CAPTION_TOKENS = 15
TOGETHER = 4  # chunks of one backward, about as many tokens as are trained on together
EACH, ONE, TRAINING = "a backward for each chunk", "one for several chunks, by hooks", "training on them"


def conflict_rows(size: DecoderSize, rounds: int) -> list[Row]:
    """Documents/s on the CPU of both ways and of training steps without the optimizer, in packs of several chunks."""
    chunks = some_chunks(size)
    contenders: dict[str, Open] = {
        EACH: partial(_each, size, chunks),
        ONE: partial(_one, size, chunks),
        TRAINING: partial(_training, size, chunks),
    }
    times = take_turns(contenders, rounds, torch.device("cpu"), "conflict")
    count = sum(map(len, chunks))
    described = f"{size.layers} x {size.width}, {CHUNKS} chunks of {DOCUMENTS} texts and of {DOCUMENTS} images"
    return [
        Row("conflict, documents/s", described, name, *taken.speeds(count), relative=taken.over(times[TRAINING]))
        for name, taken in times.items()
    ]


def some_chunks(size: DecoderSize) -> list[list[Documents]]:
    """Chunks of texts, then of captioned images."""
    rng = np.random.default_rng(SEED)
    words, start = size.text_vocabulary - 3, size.text_vocabulary - 3

    def text() -> list[int]:
        return rng.integers(0, words, int(rng.integers(*TEXT_TOKENS))).tolist()  # type: ignore[no-any-return]

    def image() -> list[int]:
        codes = size.text_vocabulary + rng.integers(0, size.codebook, size.codes_per_image)
        return [*rng.integers(0, words, CAPTION_TOKENS).tolist(), start, *codes.tolist(), start + 1]

    return [[Documents.of([make()]) for _ in range(DOCUMENTS)] for make in (text, image) for _ in range(CHUNKS)]


def gradients_by_hooks(model: UnixForCausalLM, chunks: list[list[Documents]]) -> list[Tensor]:
    """The gradients of all projections of a shared decoder, (2C, out, in) each, as `projections_of` orders them."""
    modules = [
        getattr(block, name)
        for layer in model.model.layers
        for block, names in ((layer.self_attn, "qkvo"), (layer.mlp, ("gate", "up", "down")))
        for name in (f"{one}_proj" for one in names)
    ]
    sums = [torch.zeros(len(chunks), *module.weight.shape) for module in modules]
    model.requires_grad_(False)
    for first in range(0, len(chunks), TOGETHER):
        part = chunks[first : first + TOGETHER]
        batch = build_batch([document for chunk in part for document in chunk], model.config)
        rows = list(_rows_of_chunks(part, model))
        handles = [
            module.register_forward_hook(partial(_adding, total[first : first + TOGETHER], rows))
            for module, total in zip(modules, sums, strict=True)
        ]
        model(**batch, num_items_in_batch=1).loss.backward()
        for handle in handles:
            handle.remove()
    model.requires_grad_(True)
    return sums


def _rows_of_chunks(chunks: list[list[Documents]], model: UnixForCausalLM) -> Iterator[list[slice]]:
    """Where each chunk's text tokens and vision tokens are in modality order."""
    vision = [
        int(sum(is_vision(document.input_ids, model.config).sum() for document in documents)) for documents in chunks
    ]
    text = [sum(len(one.input_ids) for one in documents) - own for documents, own in zip(chunks, vision, strict=True)]
    texts, visions = np.cumsum([0, *text]), sum(text) + np.cumsum([0, *vision])
    for place in range(len(chunks)):
        yield [slice(int(ends[place]), int(ends[place + 1])) for ends in (texts, visions)]


def _adding(sums: Tensor, rows: list[list[slice]], module: nn.Module, inputs: Any, output: Tensor) -> None:
    """A forward hook that adds a linear layer's gradients, token by token, to the sums of the chunks."""
    given = inputs[0].detach()
    if not output.requires_grad:  # the first layer that is measured
        output.requires_grad_(True)

    def add(gradient: Tensor) -> None:
        for total, of_chunk in zip(sums, rows, strict=True):
            for one in of_chunk:
                total.addmm_(gradient[one].T, given[one])

    output.register_hook(add)


def _each(size: DecoderSize, chunks: list[list[Documents]]) -> Run:
    model = _model(size)
    weights = [one.weight for one in projections_of(model) if one.weight is not None]
    return lambda: [chunk_gradient(model, documents, weights) for documents in chunks]


def _one(size: DecoderSize, chunks: list[list[Documents]]) -> Run:
    return partial(gradients_by_hooks, _model(size), chunks)


def _training(size: DecoderSize, chunks: list[list[Documents]]) -> Run:
    model, steps = _model(size), chunks[::2] + chunks[1::2]

    def run() -> None:
        for first in range(0, len(steps), TOGETHER):
            part = [document for chunk in steps[first : first + TOGETHER] for document in chunk]
            model(**build_batch(part, model.config)).loss.backward()
            model.zero_grad(set_to_none=True)

    return run


def _model(size: DecoderSize) -> UnixForCausalLM:
    model = size.decoder(SharedPlan(preset="shared"), torch.device("cpu"))
    model.eval()
    return model

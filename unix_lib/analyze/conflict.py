"""Measures the gradient conflict c = -(S_inter - S_base) per layer and projection of a checkpoint.

S_inter = cos(g_text, g_image) compares the gradients that text documents and image documents ask for, S_base =
cos(g_any1, g_any2) those of two disjoint mixtures of both (Uni-X, section on gradient conflict). All groups hold
equally many documents: a random half of the text documents, a random half of the image documents, and twice a quarter
of each. c is kept as the paper defines it.

Equal groups do not make c free of noise. Noise *multiplies* a cosine, by a factor below 1 that is nearer 0 the fewer
documents stand behind each gradient. S_inter is often near 0 and stays there; S_base is 1 without noise and falls with
it. So c differs between layers, checkpoints and models whose gradients differ in noise alone: orthogonal modalities
have c = 0.50, 0.67 and 0.80 as the documents behind it double, if the first mixture holds as much signal as noise.
Without noise c is 1 - cos(true text gradient, true image gradient), and that is what `attenuation` estimates: S_text
and S_image, the cosines between the two halves of one modality, say what noise leaves of a cosine at the size of
S_inter's groups, and S_inter / sqrt(S_text S_image) is the cosine without noise (Spearman's correction).

There is a value per layer, projection and random split. Documents are cut into chunks with one backward each; a group's
gradient is the sum of its chunks' gradients, so a split costs nothing: all its cosines follow from the inner products
of the chunk gradients. The loss is summed over targets, as training weighs them, and everything is float32. Only
weights that both modalities pass through are measured; a projection that a layer holds per modality gets one row with
`shared` false and no values.

Memory: 2 x chunks gradients of the layers in hand; layers are taken in groups that fit the job's memory, at the
price of repeating the backward for each group. A backward of its own for each chunk costs as much as one for all chunks
whose weight gradients are told apart by hooks (`unix_lib.speed.conflict`), and as much as training on them.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from unix_lib.analyze.conflict_cosines import Product, Projection
from unix_lib.analyze.conflict_documents import Chunks
from unix_lib.models import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch, move_batch

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
# From projections and the gradients of this round, each float32 (2C, ...), to those of all rounds so far.
Adding = Callable[[list[Projection], list[Tensor]], list[Tensor]]

ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
FFN_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
NORM = "norm"  # part of a layer that a breakdown also measures
# A GPU's float32 attention with shared key heads keeps all scores, and its memory has to hold the activations.
TOKENS_PER_PASS = {"cpu": 8192, "cuda": 2048}


def projections_of(model: UnixForCausalLM, *, breakdown: bool = False) -> list[Projection]:
    """The seven projections of every layer, text copies left out; for a breakdown also the norms before them."""
    found = []
    for index, layer in enumerate(model.model.layers):
        for names, module, norm, sharing in (
            (ATTENTION_PROJECTIONS, layer.self_attn, "input_layernorm", layer.plan.attention_weights),
            (FFN_PROJECTIONS, layer.mlp, "post_attention_layernorm", layer.plan.ffn),
        ):
            for name in names:
                found.append(Projection(index, name, getattr(module, name).weight if sharing == "shared" else None))
            if breakdown and sharing == "shared":
                found.append(Projection(index, norm, getattr(layer, norm).weight, NORM))
    return found


def inner_products(
    model: UnixForCausalLM, chunks: Chunks, memory: int, *, breakdown: bool = False, add: Adding | None = None
) -> Iterator[tuple[Projection, Product | None]]:
    """Inner products of the gradients of C chunks per modality.

    Args:
        model: in evaluation mode, float32.
        memory: bytes that gradients may take at a time.
        breakdown: also of each norm and of each attention head's part of a projection.
        add: adds the gradients of earlier documents to these.

    Yields:
        A projection and float64 (2C, 2C), text chunks first; None where it is not shared.
    """
    everything = chunks.text + chunks.image
    started = time.monotonic()
    for group in groups_of(projections_of(model, breakdown=breakdown), memory // len(everything)):
        weights = [projection.weight for projection in group if projection.weight is not None]
        gradients: list[list[Tensor]] = []
        for position, documents in enumerate(everything if weights else []):
            gradients.append(chunk_gradient(model, documents, weights))
            done = position + 1
            logger.info(
                "layers %d-%d: chunk %d of %d, %.1f s left in this group",
                group[0].layer,
                group[-1].layer,
                done,
                len(everything),
                (time.monotonic() - started) / done * (len(everything) - done),
            )
        started = time.monotonic()
        rows = [torch.stack(of_weight) for of_weight in zip(*gradients, strict=True)]
        shared = [projection for projection in group if projection.weight is not None]
        summed = dict(zip(shared, add(shared, rows) if add else rows, strict=True))
        yield from products_of(group, summed, model.config.head_dim if breakdown else None)


def products_of(
    projections: list[Projection], gradients: dict[Projection, Tensor], head_dim: int | None
) -> Iterator[tuple[Projection, Product | None]]:
    """Inner products of gradients (2C, ...) of the shared ones of some projections; of heads too, of a given width."""
    for projection in projections:
        if projection.weight is None:
            yield projection, None
            continue
        rows = gradients[projection]
        yield projection, _product(rows)
        if head_dim is not None and projection.name in ATTENTION_PROJECTIONS:
            # Rows of the weights that make queries, keys and values, columns of those that take heads' outputs.
            for head, part in enumerate(rows.split(head_dim, dim=2 if projection.name == "o_proj" else 1), start=1):
                yield replace(projection, part=f"head {head}"), _product(part)


def chunk_gradient(model: UnixForCausalLM, documents: list[Documents], weights: list[Tensor]) -> list[Tensor]:
    """Gradient of the loss summed over a chunk's targets, on the CPU; one backward per `TOKENS_PER_PASS` tokens."""
    total: list[Tensor] | None = None
    device = weights[0].device
    for part in _groups(documents, lambda document: len(document.input_ids), TOKENS_PER_PASS[device.type]):
        batch = move_batch(build_batch(part, model.config), device)
        loss = model(**batch, num_items_in_batch=1).loss
        gradients = torch.autograd.grad(loss, weights)
        if total is None:
            total = list(gradients)
        else:
            for summed, gradient in zip(total, gradients, strict=True):
                summed.add_(gradient)
    assert total is not None
    return [gradient.cpu() for gradient in total]


def _product(rows: Tensor) -> Product:
    wide = rows.flatten(1).double()
    product: Product = (wide @ wide.T).numpy()
    return product


def groups_of(projections: list[Projection], memory: int) -> Iterator[list[Projection]]:
    """Consecutive projections whose gradients of one chunk take at most so many bytes, or a single one."""
    return _groups(projections, lambda one: 0 if one.weight is None else 4 * one.weight.numel(), memory)


def _groups(items: list[Item], size_of: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Consecutive items whose sizes add up to at most `most`, or a single one."""
    group: list[Item] = []
    taken = 0
    for item in items:
        size = size_of(item)
        if group and taken + size > most:
            yield group
            group, taken = [], 0
        group.append(item)
        taken += size
    yield group

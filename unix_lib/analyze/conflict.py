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
price of repeating the backward for each group.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from unix_lib.analyze.conflict_documents import Chunks, sample_chunks
from unix_lib.analyze.conflict_kind import ConflictSettings
from unix_lib.artefacts.manifest import Facts
from unix_lib.config.jobs import JobShape
from unix_lib.models import UnixForCausalLM
from unix_lib.models.checkpoint import load_model
from unix_lib.models.routing import Documents, build_batch, move_batch
from unix_lib.pack.reader import PackReader, epoch_file
from unix_lib.records.schema import Row
from unix_lib.tokenizers.image import device_of

logger = logging.getLogger(__name__)
Item = TypeVar("Item")

ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
FFN_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
# A GPU's float32 attention with shared key heads keeps all scores, and its memory has to hold the activations.
TOKENS_PER_PASS = {"cpu": 8192, "cuda": 2048}
MEMORY_SHARE = 0.5  # of the job's memory that chunk gradients may take

CONFLICT_COLUMNS = pa.schema(
    [
        pa.field("layer", pa.int32()),
        pa.field("projection", pa.string()),
        pa.field("shared", pa.bool_()),
        pa.field("split", pa.int32()),  # null where the projection is not shared
        pa.field("s_inter", pa.float64()),
        pa.field("s_base", pa.float64()),
        pa.field("conflict", pa.float64()),
        pa.field("s_text", pa.float64()),  # of two disjoint halves of the text documents, the first being S_inter's
        pa.field("s_image", pa.float64()),  # likewise of the image documents
    ]
)


@dataclass(frozen=True)
class Projection:
    """One projection of one layer; `weight` is None where each modality has its own."""

    layer: int
    name: str
    weight: Tensor | None


def conflict_of_checkpoint(
    model_folder: Path, pack_folder: Path, settings: ConflictSettings, shape: JobShape
) -> tuple[pa.Table, Facts]:
    """Measure a checkpoint on documents of a mixture; the table's columns are `CONFLICT_COLUMNS`.

    Raises:
        ModelError: a checkpoint that is not what its config says.
        AnalysisError: too few documents of a modality.
    """
    device = torch.device(device_of(shape))
    model = load_model(model_folder, torch.float32)
    model.eval().to(device)
    reader = PackReader(pack_folder, [epoch_file(0)])  # one epoch: no record comes twice
    order = np.random.default_rng(settings.seed).permutation(len(reader))
    chunks = sample_chunks(
        (reader[int(index)] for index in order), model.config, settings.documents, settings.chunks, settings.seed
    )
    products = inner_products(model, chunks, memory=int(shape.memory_mb * 1e6 * MEMORY_SHARE))
    table = conflict_table(products, settings.chunks, settings.splits, settings.seed)
    return table, {"documents_per_modality": chunks.documents}


def projections_of(model: UnixForCausalLM) -> list[Projection]:
    """The seven projections of every layer, text copies left out."""
    found = []
    for index, layer in enumerate(model.model.layers):
        for names, module, sharing in (
            (ATTENTION_PROJECTIONS, layer.self_attn, layer.plan.attention_weights),
            (FFN_PROJECTIONS, layer.mlp, layer.plan.ffn),
        ):
            for name in names:
                found.append(Projection(index, name, getattr(module, name).weight if sharing == "shared" else None))
    return found


def inner_products(
    model: UnixForCausalLM, chunks: Chunks, memory: int
) -> Iterator[tuple[Projection, np.ndarray | None]]:
    """Inner products of the gradients of C chunks per modality.

    Args:
        model: in evaluation mode, float32.
        memory: bytes that gradients may take at a time.

    Yields:
        A projection and float64 (2C, 2C), text chunks first; None where it is not shared.
    """
    projections = projections_of(model)
    everything = chunks.text + chunks.image
    started = time.monotonic()
    for group in _groups(projections, _gradient_bytes, memory // len(everything)):
        weights = [projection.weight for projection in group if projection.weight is not None]
        gradients: list[list[Tensor]] = []
        for position, documents in enumerate(everything if weights else []):
            gradients.append(_chunk_gradient(model, documents, weights))
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
        measured = 0
        for projection in group:
            if projection.weight is None:
                yield projection, None
                continue
            rows = torch.stack([gradient[measured].flatten() for gradient in gradients]).double()
            measured += 1
            yield projection, (rows @ rows.T).cpu().numpy()


def conflict_table(
    products: Iterator[tuple[Projection, np.ndarray | None]], chunks: int, splits: int, seed: int
) -> pa.Table:
    """Conflict of every projection over the same random splits; columns `CONFLICT_COLUMNS`."""
    groups = split_groups(chunks, splits, seed)
    rows: list[Row] = []
    for projection, product in products:
        known = {"layer": projection.layer, "projection": projection.name, "shared": product is not None}
        if product is None:
            rows.append(known)  # the columns left out become null
            continue
        for split, (text, image, any1, any2, other_text, other_image) in enumerate(groups):
            s_inter, s_base = _cosine(product, text, image), _cosine(product, any1, any2)
            s_text, s_image = _cosine(product, text, other_text), _cosine(product, image, other_image)
            paper = {"s_inter": s_inter, "s_base": s_base, "conflict": s_base - s_inter}
            rows.append(known | {"split": split} | paper | {"s_text": s_text, "s_image": s_image})
    return pa.Table.from_pylist(rows, schema=CONFLICT_COLUMNS)


def split_groups(chunks: int, splits: int, seed: int) -> np.ndarray:
    """Which chunks form g_text, g_image, g_any1, g_any2, and the other halves of text and of images, in each split.

    Returns:
        float64 (splits, 6, 2 * chunks) of 0 and 1, text chunks first; each group has `chunks / 2` chunks, the two
        mixed groups are disjoint with as many chunks of text as of images, and a modality's halves are disjoint.
    """
    half, quarter = chunks // 2, chunks // 4
    groups = np.zeros((splits, 6, 2 * chunks))
    for split in range(splits):
        rng = np.random.default_rng([seed, split])
        text, image = rng.permutation(chunks), chunks + rng.permutation(chunks)
        groups[split, 0, text[:half]] = 1
        groups[split, 1, image[:half]] = 1
        groups[split, 4, text[half:]] = 1
        groups[split, 5, image[half:]] = 1
        mixed = [rng.permutation(chunks), chunks + rng.permutation(chunks)]
        for position in (0, 1):
            for order in mixed:
                groups[split, 2 + position, order[position * quarter : (position + 1) * quarter]] = 1
    return groups


def _cosine(product: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """Cosine of two sums of chunk gradients, from the chunks' inner products; NaN-free: 0 for a zero gradient."""
    norms = float((left @ product @ left) * (right @ product @ right))
    return float(left @ product @ right) / norms**0.5 if norms > 0 else 0.0


def _chunk_gradient(model: UnixForCausalLM, documents: list[Documents], weights: list[Tensor]) -> list[Tensor]:
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


def _gradient_bytes(projection: Projection) -> int:
    return 0 if projection.weight is None else 4 * projection.weight.numel()


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

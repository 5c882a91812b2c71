"""`benchmark-model`: one table of the decoder's speed beside transformers' own, measured side by side in one run."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from rich.console import Console
from rich.table import Table

from unix_lib.commands.marks import marked
from unix_lib.models.configuration import ModelError
from unix_lib.speed.conflict import conflict_rows
from unix_lib.speed.decoders import DecoderSize
from unix_lib.speed.measuring import machine
from unix_lib.speed.model import SIZE_3B, Row, generation_rows, invariance_rows, training_rows

SEPARATE_3B = (12, 6)  # PAPER: Uni-X at 3B
GPU_PACK_TOKENS = 20_480  # PAPER: packing length
GPU_BATCHES = (1, 40, 256)
CAPTION = (
    "Speeds are medians of {rounds} rounds in which the contenders took turns; relative: times as fast as shared "
    "(training), as training (conflict) or as the plain loop (images), median of the ratios within a round; of "
    "peak: FLOP/s by 6 N in training, memory bandwidth in decoding, of the maker's figures."
)


@dataclass(frozen=True)
class Order:
    """How much is measured."""

    training: DecoderSize
    generation: DecoderSize
    pack_tokens: int
    batch: int
    rounds: int
    gpu_codes: int


def run(order: Order, device: str, console: Console) -> int:
    """Measure and print.

    Raises:
        ModelError: a device that is not there.
    """
    gpu = torch.cuda.is_available() and device != "cpu"
    if device not in ("auto", "cpu", "cuda") or (device == "cuda" and not gpu):
        raise ModelError(f"device {device} is not usable here; give cpu, or auto")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    described = machine(torch.device("cuda" if gpu else "cpu"))
    rows = [] if device == "cuda" else list(_cpu_rows(order))
    if gpu:
        rows += _gpu_rows(order)
    console.print(table_of("Model benchmark", rows, f"{described}. {CAPTION.format(rounds=order.rounds)}"))
    return 0


def size(layers: int, width: int, text_vocabulary: int, positions: int, codes: int) -> DecoderSize:
    """A decoder in float32 with Qwen2's proportions: heads of 64, four of them to a key, and Chameleon's codebook."""
    if width % 64:
        raise ModelError(f"a width of {width} has no whole number of heads of 64; give a multiple of 64")
    heads = width // 64
    return DecoderSize(
        layers,
        width,
        intermediate=width * 11 // 4,
        heads=heads,
        key_value_heads=heads // 4 if heads % 4 == 0 else 1,
        text_vocabulary=text_vocabulary,
        codebook=8192,
        codes_per_image=codes,
        positions=positions,
    )


def _cpu_rows(order: Order) -> Iterator[Row]:
    cpu, size = torch.device("cpu"), order.generation
    separate = _separate(order.training)
    yield from training_rows(order.training, separate, order.pack_tokens, order.rounds, cpu, checkpointing=False)
    yield from conflict_rows(order.training, order.rounds)
    small = replace(size, text_vocabulary=min(size.text_vocabulary, size.codebook))
    for contest, batch in ((small, order.batch), (size, order.batch), (small, 1)):
        yield from generation_rows(contest, _separate(size), batch, order.rounds, cpu)
    yield from invariance_rows(small, _separate(size), order.batch, cpu)


def _gpu_rows(order: Order) -> Iterator[Row]:
    gpu = torch.device("cuda")
    yield from training_rows(SIZE_3B, SEPARATE_3B, GPU_PACK_TOKENS, order.rounds, gpu, checkpointing=True)
    images = replace(SIZE_3B, codes_per_image=order.gpu_codes)
    for batch in GPU_BATCHES:
        yield from generation_rows(images, SEPARATE_3B, batch, order.rounds, gpu)
    yield from invariance_rows(replace(SIZE_3B, codes_per_image=64), SEPARATE_3B, 40, gpu)


def _separate(size: DecoderSize) -> tuple[int, int]:
    """A third of the layers first and a sixth last, the paper's share at 3B."""
    return size.layers // 3, size.layers // 6


def table_of(title: str, rows: list[Row], caption: str) -> Table:
    """One table, a section per measure and size."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("contender", overflow="fold")  # numbers are never cut
    for heading in ("median", "lowest to highest", "relative", "peak MB", "of peak"):
        table.add_column(heading, justify="right", no_wrap=True)
    for (measure, size), section in groupby(rows, key=lambda row: (row.measure, row.size)):
        table.add_section()
        table.add_row(marked(f"{measure}; {size}", "bold"))
        for row in section:
            table.add_row(
                f"  {row.contender}",
                _number(row.value),
                f"{_number(row.low)} to {_number(row.high)}",
                "" if row.relative is None else f"{row.relative:.3f}",
                "" if row.memory is None else f"{row.memory / 2**20:,.0f}",
                "" if row.share is None else f"{row.share:.1%}",
            )
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 0.01 else f"{value:.3g}"

"""`benchmark-data`: one table of how fast data come in, beside the tokenizer alone, plain loops and plain Pillow."""

import logging
from pathlib import Path

import torch
from rich.console import Console

from unix_lib.commands.benchmark_model import table_of
from unix_lib.speed.data import image_rows, inventory_rows, planner_rows, text_rows
from unix_lib.speed.measuring import machine
from unix_lib.speed.pictures import altered_rows, code_rows

CAPTION = (
    "Medians of {rounds} rounds in which the contenders took turns; relative: times as fast as the first of each "
    "measure, or as the greedy cutter, median of the ratios within a round."
)


def run(  # noqa: PLR0917
    vocabulary: int,
    documents: int,
    photographs: int,
    megabytes: int,
    pictures: Path | None,
    rounds: int,
    console: Console,
) -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    described = machine(device)
    rows = text_rows(vocabulary, rounds) + planner_rows(documents, rounds) + image_rows(photographs, rounds)
    rows += code_rows(rounds, device) + inventory_rows(megabytes, rounds)
    rows += altered_rows(pictures) if pictures is not None else []
    console.print(table_of("Data benchmark", rows, f"{described}. {CAPTION.format(rounds=rounds)}"))
    return 0

"""`benchmark-serve`: one table of a server under load beside the engine that it runs on."""

import logging
from pathlib import Path

import torch
from rich.console import Console

from unix_lib.commands.benchmark_model import table_of
from unix_lib.speed.measuring import machine
from unix_lib.speed.serving import serving_rows

CAPTION = (
    "Clients come over the first quarter of the time and ask for one image after another; images/s are counted while "
    "all are there, and equal seeds had equal bytes. Relative: to the engine alone, before and after."
)
LOG = Path("results/generated/benchmark-serve.log")


def run(
    checkpoint: Path, image_tokenizer: Path | None, *, clients: int, slots: int, seconds: float, console: Console
) -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    described = machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    rows = serving_rows(checkpoint, image_tokenizer, clients=clients, slots=slots, seconds=seconds, log_file=LOG)
    console.print(table_of("Server benchmark", rows, f"{described}. {CAPTION}"))
    return 0

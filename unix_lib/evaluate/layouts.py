"""Writes a checkpoint's images as the authors of GenEval and DPG-Bench lay them out, for their own tools to judge."""

from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

from PIL import Image

from unix_lib.artefacts.files import canonical_json, write_text
from unix_lib.benchmarks.dpg import read_dpg
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import read_prompts
from unix_lib.benchmarks.settings import ImageSettings
from unix_lib.evaluate.stored_images import decoded, stored_images

GRID = 2  # cells on a side of DPG-Bench's pictures


def write_geneval(answers: Path, file: Callable[[str], Path], settings: ImageSettings, output: Path) -> int:
    """Folders `00000/` with `metadata.jsonl` and `samples/00000.png` ...; returns the number of images.

    Args:
        answers: folder with `images.parquet`.
        file: gives the benchmark's file by what a source calls it.
        settings: which prompts were drawn.
        output: a new folder.
    """
    prompts, _ = read_prompts(file("geneval.jsonl"), settings.limit, settings.prompts)
    written = 0
    for rows, images in stored_images(answers):
        for row, image in zip(rows, images, strict=True):
            folder = output / f"{row['prompt_index']:05d}"
            if not folder.exists():
                (folder / "samples").mkdir(parents=True)
                write_text(folder / "metadata.jsonl", canonical_json(prompts[row["prompt_index"]]) + "\n")
            (folder / "samples" / f"{row['sample_index']:05d}.png").write_bytes(image)
            written += 1
    return written


def write_dpg(answers: Path, file: Callable[[str], Path], settings: ImageSettings, output: Path) -> int:
    """A picture `<item_id>.png` a prompt, its images row by row, two in a row; returns the number of images.

    A single image is the picture itself, and a missing one of several black. See `write_geneval` for the arguments.

    Raises:
        BenchmarkError: more images a prompt than a grid has cells.
    """
    images = settings.image_sampling.images_per_prompt
    if images > GRID * GRID:
        raise BenchmarkError(f"{answers}: {images} images a prompt; DPG-Bench's grids hold {GRID * GRID}")
    prompts, _ = read_dpg(file("dpg.csv"), settings.limit, settings.prompts)
    output.mkdir(parents=True, exist_ok=True)
    every = ((row, image) for some in stored_images(answers) for row, image in zip(*some, strict=True))
    written = 0
    for index, of_prompt in groupby(every, lambda pair: pair[0]["prompt_index"]):  # they follow each other
        cells = {row["sample_index"]: Image.fromarray(decoded(image)) for row, image in of_prompt}
        _grid(cells, images).save(output / f"{prompts[index].item_id}.png")
        written += len(cells)
    return written


def _grid(cells: Mapping[int, Image.Image], count: int) -> Image.Image:
    width, height = next(iter(cells.values())).size
    grid = Image.new("RGB", (min(count, GRID) * width, -(-count // GRID) * height))
    for index, cell in cells.items():
        grid.paste(cell, (index % GRID * width, index // GRID * height))
    return grid

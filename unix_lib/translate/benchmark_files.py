"""Translates the questions and prompts of a source's benchmarks into files of the same layout.

Answers stay as they are: letters, yes and no, which scorers read, and what an image must show.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from unix_lib.artefacts.files import atomic_path
from unix_lib.benchmarks.question_files import LONGEST_REFERENCE
from unix_lib.config.translate import Benchmark
from unix_lib.records.rejected import RejectedSamples
from unix_lib.translate.files import read_items, write_items
from unix_lib.translate.rows import Item, translated
from unix_lib.translate.translator import Outcome

NOTHING = ("", "nan")  # how tables in VLMEvalKit's layout write an empty cell
OPTIONS = ("question", "hint", "A", "B", "C", "D")


@dataclass(frozen=True)
class Layout:
    """A benchmark's file below `benchmarks/`."""

    file: str
    columns: tuple[str, ...]  # that hold words
    beside: tuple[str, ...] = ()  # files with a line for each row
    whole: tuple[str, ...] = ()  # files beside the folder that scoring reads


LAYOUTS: dict[Benchmark, Layout] = {
    "geneval": Layout("geneval.jsonl", ("prompt",), ("geneval_scenes.jsonl",), ("heldout_scenes.jsonl",)),
    "dpg": Layout("dpg.csv", ("text",)),  # the questions stay: a judge is asked in English
    "pope": Layout("pope.tsv", ("question",)),
    "mme": Layout("mme.tsv", ("question",)),
    "mmbench": Layout("mmbench.tsv", OPTIONS),
    "seed": Layout("seed.tsv", OPTIONS),
}


def benchmark_items(name: Benchmark, source: Path) -> Iterator[Item]:
    """The rows of a benchmark of the artefact `source`."""
    layout = LAYOUTS[name]
    return read_items(source / "benchmarks" / layout.file, layout.columns[:1])


def write_benchmark(
    name: Benchmark,
    source: Path,
    folder: Path,
    translate: Callable[[Iterable[str]], Mapping[str, Outcome]],
    rejected: RejectedSamples,
) -> dict[str, int | None]:
    """Translate a benchmark of the artefact `source` into the artefact `folder`; returns its files with their rows."""
    layout = LAYOUTS[name]
    items = list(benchmark_items(name, source))
    paths = {column: column for column in layout.columns}
    kept = list(translated(items, paths, translate, rejected, as_they_are=NOTHING))
    numbers = {item.number for item in kept}
    files: dict[str, int | None] = {f"benchmarks/{layout.file}": len(kept)}
    write_items(folder / "benchmarks" / layout.file, _with_images(kept, items), source / "benchmarks" / layout.file)
    for other in layout.beside:
        if (source / "benchmarks" / other).is_file():
            lines = (source / "benchmarks" / other).read_bytes().splitlines(keepends=True)
            with atomic_path(folder / "benchmarks" / other) as temporary:
                temporary.write_bytes(b"".join(lines[number - 1] for number in sorted(numbers)))
            files[f"benchmarks/{other}"] = len(numbers)
    for other in layout.whole:
        if (source / other).is_file():
            with atomic_path(folder / other) as temporary:
                shutil.copyfile(source / other, temporary)
            files[other] = None
    return files


def _with_images(kept: list[Item], items: list[Item]) -> Iterator[Item]:
    """The rows that are kept; one whose image stands in a row that is not gets the image itself."""
    images = {item.values["index"]: item.values["image"] for item in items if "image" in item.values}
    there = {item.values.get("index") for item in kept}
    for item in kept:
        reference = item.values.get("image")
        if reference is None or len(reference) > LONGEST_REFERENCE or reference in there:
            yield item
        else:
            yield replace(item, values=item.values | {"image": images.get(reference, reference)})

"""Reads the scenes that a `shapes` source wrote beside its benchmarks."""

from itertools import islice
from pathlib import Path

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.records.lines import BadLine, numbered_lines, text_of, value_of
from unix_lib.sources.shapes.scenes import Scene


def read_scenes(path: Path, limit: int | None = None, lines: int | None = None) -> list[list[Scene]]:
    """The scenes of each line, which is a list of scenes or a single one.

    Args:
        limit: only the first this many lines.
        lines: how many there must be, where they go with prompts by their places.

    Raises:
        BenchmarkError: another number of lines, or names the first that is neither.
    """
    found = []
    for number, line in islice(numbered_lines(path), limit):
        try:
            values = value_of(text_of(line))
            found.append([Scene.from_json(each) for each in (values if isinstance(values, list) else [values])])
        except (BadLine, KeyError, TypeError):
            raise BenchmarkError(
                f"{path}:{number}: neither a scene nor a list of scenes; make the source again"
            ) from None
    if lines is not None and len(found) != lines:
        raise BenchmarkError(f"{path}: {len(found)} lines for {lines} prompts; make the source again")
    return found

"""Finds a benchmark's file: one that a source of the experiment made, a fetched one, or one of the library's own."""

from pathlib import Path

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.config.folders import is_regular
from unix_lib.config.shipped import file_at


def benchmark_file(name: str, made: str, source: Path | None, file: str | None) -> Path:
    """The file that a benchmark's samples are in.

    Args:
        name: of the benchmark or of the job, for messages.
        made: what a source calls the file.
        source: artefact `sources/<source>-benchmarks`, already checked; None for a fetched file.

    Raises:
        BenchmarkError: there is no such file.
    """
    if source is not None:
        path = source / "benchmarks" / made
        if not path.is_file():
            raise BenchmarkError(f"{name}: {source.name} makes no {made}; name a source that does, or fetch the file")
        return path
    if file is None:
        raise BenchmarkError(f"{name}: neither a source nor a file; give one of them")
    path = file_at(file)
    if not is_regular(path):
        raise BenchmarkError(f"{name}: {path} is missing; `unix-lib fetch <config>` gets it")
    return path

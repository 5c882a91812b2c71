"""Files of benchmarks that come with the library, by the names under which a config finds them."""

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "benchmarks" / "shipped"
SHIPPED = {"geneval": _FOLDER / "geneval" / "evaluation_metadata.jsonl"}


def file_at(file: str) -> Path:
    """Where a benchmark's file is; one of your own that is called like a shipped one is `./geneval`."""
    return SHIPPED.get(file, Path(file))

"""The benchmark of saves runs, and leaves nothing behind."""

from pathlib import Path

from rich.console import Console

from unix_lib.commands import benchmark_saves
from unix_lib.speed import saves


def test_the_table_has_both_ways(tmp_path: Path) -> None:
    times = saves.measure_saves(0.0001, tmp_path, rounds=2, width=64)
    assert len(times.held_up_copying) == len(times.held_up_writing) == 2
    assert times.bytes > 0.0001e9
    assert list(tmp_path.iterdir()) == []
    console = Console(record=True, width=120)
    benchmark_saves.show(times, console)
    text = console.export_text()
    assert "training waits until it is written" in text and "as a share of the above" in text

"""SLURM's commands, as far as a test says what they print."""

import shlex
from pathlib import Path

import pytest


class Says:
    """Makes commands of SLURM print a text; of the others there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, command: str, text: str, *, fails: bool = False) -> None:
        """Let a command print a text, or complain of it and fail."""
        told = f"printf '%s\\n' {shlex.quote(text)}" + " >&2; exit 1" * fails
        (self._folder / command).write_text(f'#!/bin/sh\necho "$@" > "$0.asked"\n{told}\n', encoding="utf-8")
        (self._folder / command).chmod(0o755)

    def asked(self, command: str) -> str:
        """The options that a command was given last."""
        return (self._folder / f"{command}.asked").read_text(encoding="utf-8")


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    tools = tmp_path / "slurm"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    return Says(tools)

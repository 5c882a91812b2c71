"""Code that processes of a test run when they start: what they can't be asked from outside is done or noted there."""

import os
from pathlib import Path

from tests.train.experiment import ROOT, environment

NOTES_BATCHES = """
import hashlib, os, pathlib

if "BATCHES" in os.environ:
    from unix_lib.train.stream import PackStream

    deal = PackStream.__iter__

    def noted(self):
        with open(os.path.join(os.environ["BATCHES"], os.environ["RANK"]), "a", buffering=1) as file:
            for micro_batch in deal(self):
                file.write(hashlib.sha256(micro_batch.inputs["input_ids"].numpy().tobytes()).hexdigest() + "\\n")
                yield micro_batch

    PackStream.__iter__ = noted
"""


def starting_with(folder: Path, code: str, **variables: str) -> dict[str, str]:
    """An environment in which every Python process runs some code first; it is written into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return environment() | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"} | variables


def batches_in(folder: Path) -> list[str]:
    """Hashes of the packs that the processes of a job were dealt, one at a time, in the order of the whole job."""
    per_process = [path.read_text().split() for path in sorted(folder.iterdir(), key=lambda path: int(path.name))]
    return [batch for at_once in zip(*per_process, strict=True) for batch in at_once]

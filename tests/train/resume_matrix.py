"""Resuming under every ZeRO stage, other ranks too: `python -m tests.train.resume_matrix [stage ...]` makes a table.

A run of sixteen steps of four packs, of which seven are there, is cut at steps 4, 8 and 12: with one process
throughout, with two throughout, and with two, one, two and four. Ten minutes on two cores.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

from tests.train.experiment import Experiment, command
from tests.train.startup import NOTES_BATCHES, batches_in, starting_with
from unix_lib.artefacts.manifest import read_manifest

LAST, PER_STEP = 16, 4
OPTIMIZATION = {"total_steps": 24, "packs_per_step": PER_STEP}  # so that the last one has a state too
CUTS = {
    "1": [(LAST, 1)],
    "1, cut": [(4, 1), (8, 1), (12, 1), (LAST, 1)],
    "2": [(LAST, 2)],
    "2, cut": [(4, 2), (8, 2), (12, 2), (LAST, 2)],
    "2, 1, 2, 4": [(4, 2), (8, 1), (12, 2), (LAST, 4)],
}


def _trained(folder: Path, stage: int, segments: list[tuple[int, int]]) -> dict[str, Any]:
    """Train in segments (last step, processes); what came of it."""
    experiment, batches = Experiment(folder / "results"), []
    for step, ranks in segments:
        noted = folder / f"batches-{step}"
        noted.mkdir()
        environment = starting_with(folder / "startup", NOTES_BATCHES, BATCHES=str(noted), OMP_NUM_THREADS="1")
        execution = {"zero_stage": stage, "job": {"nodes": ranks}}
        job = experiment.job(step, execution=execution, optimization=OPTIMIZATION)
        done = subprocess.run(command(job), check=False, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        batches += batches_in(noted)
    rows = pq.read_table(job.folder / "log.parquet").to_pylist()
    weights = load_file(job.folder / "model" / "model.safetensors")
    losses = torch.tensor([row["loss"] for row in rows], dtype=torch.float64)
    return {"digest": read_manifest(job.folder).digest, "batches": batches, "losses": losses, "weights": weights}


def _row(stage: int, name: str, one: dict[str, Any], other: dict[str, Any]) -> str:
    same = "bit for bit" if one["digest"] == other["digest"] else "rounding"
    loss = float(((one["losses"] - other["losses"]).abs() / one["losses"]).max())
    weight = max(float((value - other["weights"][key]).abs().max()) for key, value in one["weights"].items())
    following = one["batches"][4 * PER_STEP :][: 8 * PER_STEP] == other["batches"][4 * PER_STEP :][: 8 * PER_STEP]
    order = "same" if one["batches"] == other["batches"] else "OTHERS"
    eight = "same" if following else "OTHERS"
    return f"| {stage} | {name} | {same} | {loss:.1e} | {weight:.1e} | {eight} | {order} |"


def main() -> None:
    """Train everything and print."""
    print("| ZeRO | processes | equal to uncut | loss, relative | weights | next eight batches | all batches |")
    print("|---|---|---|---|---|---|---|")
    for stage in [int(stage) for stage in sys.argv[1:]] or [0, 1, 2, 3]:
        with tempfile.TemporaryDirectory() as folder:
            done: dict[str, dict[str, Any]] = {}
            for name, segments in CUTS.items():
                (Path(folder) / name).mkdir()
                done[name] = _trained(Path(folder) / name, stage, segments)
                uncut = done["2" if name == "2, cut" else "1"]
                if name not in ("1", "2"):
                    print(_row(stage, name, uncut, done[name]), flush=True)


if __name__ == "__main__":
    main()

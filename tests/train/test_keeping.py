"""Which training states stay where a config keeps only the newest. The states are small stand-ins."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.train.experiment import Experiment
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.artefacts.sealed import seal
from unix_lib.recipes.workspace import PLANNED
from unix_lib.train.keeping import drop_earlier_states


@pytest.mark.parametrize(
    ("keep", "due", "kept"),
    [
        (None, [], [2, 4, 6, 8]),
        (1, [], [8]),
        (3, [], [4, 6, 8]),
        (9, [], [2, 4, 6, 8]),
        (1, [12], [8]),
        (1, [1, 5], [4, 8]),  # nothing leads to step 1; step 5 starts from step 4
        (2, [3, 7], [2, 6, 8]),
    ],
)
def test_states_that_a_planned_checkpoint_starts_from_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keep: int | None, due: list[int], kept: list[int]
) -> None:
    experiment = Experiment(tmp_path / "results")
    made = {step: experiment.job(step, execution={"keep_states": keep}) for step in (2, 4, 6, 8)}
    planned: dict[str, Any] = {}
    for job in [*made.values(), *(experiment.job(step) for step in due), experiment.job(5, run="other")]:
        planned[job.recipe.name] = job.recipe.key.rpartition("-")[2]
    for step, job in made.items():
        (job.folder / "state").mkdir()
        (job.folder / "state" / "weights.pt").write_bytes(b"weights")
        seal(job.folder / "state")
        write_manifest(job.folder, "0" * 64, {}, facts={"run_digest": job.settings.run_digest, "step": step})
    (experiment.results / PLANNED).write_text(json.dumps({"train": planned | {"lost-step-00001": "0" * 12}}))
    with caplog.at_level(logging.INFO):
        drop_earlier_states(made[8])
    assert [step for step, job in made.items() if (job.folder / "state").is_dir()] == kept
    gone = [step for step in made if step not in kept]
    assert all((made[step].folder / "state.pruned").is_file() for step in gone)
    assert [f"state of step {step} removed" in line for step, line in zip(gone, caplog.messages, strict=True)] == [
        True for _ in gone
    ]

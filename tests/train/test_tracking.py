"""What trackers are told while a run trains in two segments, and which states are kept on the way."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.train.experiment import Experiment
from unix_lib.artefacts.names import checkpoint_name
from unix_lib.recipes.workspace import PLANNED
from unix_lib.trackers.curve import Curve
from unix_lib.trackers.services import SERVICES
from unix_lib.train.errors import TrainError
from unix_lib.train.make import make_checkpoint


class Remembering:
    told: ClassVar[list[tuple[int, dict[str, float]]]] = []

    def __init__(self, curve: Curve) -> None:
        assert (curve.name, curve.tracking.tags) == (f"{curve.experiment}/tiny", ["try"])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.told.append((step, dict(values)))

    def close(self) -> None:
        pass


def test_segments_of_a_run_are_one_curve_and_earlier_states_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(SERVICES, "wandb", Remembering)
    monkeypatch.setattr("unix_lib.config.trackers.find_spec", lambda name: json.__spec__)
    monkeypatch.setattr(Remembering, "told", [])
    experiment = Experiment(tmp_path / "results")
    execution: dict[str, Any] = {"tracking": {"trackers": ["wandb"], "tags": ["try"]}, "keep_states": 1}
    jobs = [experiment.job(step, execution=execution) for step in (2, 3, 4, 5)]
    planned = {checkpoint_name("tiny", job.settings.step): job.recipe.key.rpartition("-")[2] for job in jobs}
    del planned[checkpoint_name("tiny", 3)]

    def states() -> list[int]:
        return [job.settings.step for job in jobs if (job.folder / "state").is_dir()]

    make_checkpoint(jobs[0])
    (experiment.results / PLANNED).write_text(json.dumps({"train": planned}))
    make_checkpoint(jobs[3])
    assert states() == [2, 5]  # that of step 4, which is planned, starts from step 2
    make_checkpoint(jobs[2])
    assert states() == [5]
    assert (jobs[0].folder / "state.pruned").is_file() and (jobs[0].folder / "model").is_dir()
    assert "state of step 2 removed, as train.keep_states 1 says" in caplog.text

    told = Remembering.told
    assert sorted({step for step, _ in told}) == [0, 1, 2, 3, 4, 5]
    trained = [step for step, values in told if "train/loss" in values]
    assert list(dict.fromkeys(trained)) == [1, 2, 3, 4, 5]
    assert max(map(trained.count, trained)) <= 2  # a segment's last step once more, with its held-out loss
    assert {"heldout/loss_text", "heldout/loss_image"} <= told[0][1].keys()
    wanted = {"loss_text", "loss_image", "grad_norm", "learning_rate", "tokens_per_second"}
    assert {f"train/{name}" for name in wanted} <= told[1][1].keys()


def test_a_tracker_that_is_not_installed_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unix_lib.config.trackers.find_spec", lambda name: None)
    job = Experiment(tmp_path / "results").job(2, execution={"tracking": {"trackers": ["tensorboard"]}})
    with pytest.raises(TrainError, match=r"tensorboard not installed; `.venv/bin/pip install .*envs/watch.txt`"):
        make_checkpoint(job)

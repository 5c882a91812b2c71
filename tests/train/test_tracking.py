"""What trackers are told while a run trains in two segments."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from tests.train.experiment import Experiment
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


def test_segments_of_a_run_are_one_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SERVICES, "wandb", Remembering)
    monkeypatch.setattr("unix_lib.config.trackers.find_spec", lambda name: json.__spec__)
    monkeypatch.setattr(Remembering, "told", [])
    experiment = Experiment(tmp_path / "results")
    execution = {"tracking": {"trackers": ["wandb"], "tags": ["try"]}, "keep_states": 1}
    first, second = (experiment.job(step, execution=execution) for step in (2, 4))
    make_checkpoint(first)
    make_checkpoint(second)
    assert not (first.folder / "state").exists() and (second.folder / "state").is_dir()
    told = Remembering.told
    assert sorted({step for step, _ in told}) == [0, 1, 2, 3, 4]
    trained = [step for step, values in told if "train/loss" in values]
    assert list(dict.fromkeys(trained)) == [1, 2, 3, 4]
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

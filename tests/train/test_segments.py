"""Whole segments on a tiny model: however a run is cut, stopped or killed, its checkpoints are the same."""

import json
import logging
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import unix_lib.models  # noqa: F401  registers the model
from tests.train.experiment import LENGTH, ROOT, Experiment, command, environment, train
from unix_lib.artefacts.manifest import MANIFEST, Manifest
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import LockError
from unix_lib.train import state
from unix_lib.train.errors import Interrupted, TrainError
from unix_lib.train.stopping import deadline
from unix_lib.train.trainer import SegmentTrainer

LAST = 12  # steps of two packs; the experiment has seven, so every run repeats them


def _weights(experiment: Experiment, manifest: Manifest) -> dict[str, torch.Tensor]:
    return load_file(experiment.results / manifest.artefact / "model" / "model.safetensors")


def _rows(experiment: Experiment, manifest: Manifest, table: str) -> list[dict[str, Any]]:
    return pq.read_table(experiment.results / manifest.artefact / table).to_pylist()


def _optimizer(experiment: Experiment, manifest: Manifest) -> dict[str, Any]:
    folder = experiment.results / manifest.artefact / "state" / state.DEEPSPEED
    saved = torch.load(next(folder.rglob("mp_rank_00_model_states.pt")), weights_only=False)
    return saved["optimizer"]["state"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, dict[int, Manifest]]:
    """A run without interruption: its checkpoints at steps 0, 11 and 12."""
    experiment = Experiment(tmp_path_factory.mktemp("straight"))
    return experiment, {step: train(experiment, step) for step in (0, 11, LAST)}


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, dict[int, Manifest]]:
    """The same run in other segments."""
    experiment = Experiment(tmp_path_factory.mktemp("chained"))
    return experiment, {step: train(experiment, step) for step in (3, 8, 11)}


def test_resuming_is_exact_across_the_end_of_the_packs(straight: Any, chained: Any) -> None:
    (one, whole), (other, parts) = straight, chained
    assert whole[11].digest == parts[11].digest  # weights, log, held-out table and facts
    mine, theirs = _optimizer(one, whole[11]), _optimizer(other, parts[11])
    assert mine.keys() == theirs.keys()
    for parameter, values in mine.items():
        assert all(torch.equal(values[name], theirs[parameter][name]) for name in ("exp_avg", "exp_avg_sq", "step"))


def test_a_checkpoint_added_later_trains_nothing_before_it(chained: Any, caplog: pytest.LogCaptureFixture) -> None:
    experiment, parts = chained
    caplog.set_level(logging.INFO)
    added = train(experiment, 9)
    assert f"continues at step 8 from {experiment.results / parts[8].artefact / 'state'}" in caplog.text
    assert [row["step"] for row in _rows(experiment, added, "log.parquet")] == list(range(1, 10))
    speeds = {step: _rows(experiment, manifest, "speed.parquet") for step, manifest in parts.items()}
    assert _rows(experiment, added, "speed.parquet")[:8] == speeds[8]  # not trained again: the same measured speeds


def test_damage_to_the_newest_state_costs_time_and_nothing_else(
    straight: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, whole = straight
    copy = tmp_path / "results"
    shutil.copytree(one.results, copy)
    damaged = next((copy / whole[11].artefact).rglob("mp_rank_00_model_states.pt"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    shutil.rmtree(copy / whole[LAST].artefact)
    again = train(Experiment.at(copy), LAST)
    assert "damaged state skipped" in caplog.text
    assert again.digest == whole[LAST].digest


def test_a_checkpoint_loads_like_any_hugging_face_model(straight: Any) -> None:
    experiment, whole = straight
    folder = experiment.results / whole[LAST].artefact / "model"
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    logits = model(torch.tensor([tokenizer("w30 w31 w32")["input_ids"]])).logits
    assert logits.shape == (1, 3, 112) and torch.isfinite(logits).all()
    assert (folder / "vocabulary.json").is_file()


def test_the_tables_and_facts_say_what_happened(straight: Any) -> None:
    experiment, whole = straight
    rows = _rows(experiment, whole[LAST], "log.parquet")
    assert [row["step"] for row in rows] == list(range(1, LAST + 1))
    assert rows[-1]["loss"] < rows[0]["loss"]
    tokens = 0
    for row in rows:
        assert row["tokens"] - tokens == round((1 - row["padding_share"]) * 2 * LENGTH)
        tokens = row["tokens"]
        mean = row["loss_text"] * row["tokens_text"] + row["loss_image"] * row["tokens_image"]
        assert row["loss"] * (row["tokens_text"] + row["tokens_image"]) == pytest.approx(mean)
        assert row["grad_norm"] > 0
    # cosine with three steps of warm-up, over the run's steps
    rates = [row["learning_rate"] for row in rows]
    assert rates[0] == 0 and max(rates) == rates[3] == pytest.approx(1e-2) and 0 < rates[-1] < 1e-3
    facts = whole[LAST].facts
    assert facts["tokens"] == tokens and facts["architecture"] == "unix 1:1" and facts["step"] == LAST
    assert 0 < facts["parameters_text"] == facts["parameters_vision"] < facts["parameters_total"]
    heldout = _rows(experiment, whole[LAST], "heldout.parquet")
    assert [row["step"] for row in heldout] == list(range(LAST + 1))
    assert heldout[0] == _rows(experiment, whole[0], "heldout.parquet")[0]
    assert heldout[-1]["loss_image"] < heldout[0]["loss_image"]


def test_only_checkpoints_that_a_segment_can_follow_have_a_state(straight: Any) -> None:
    experiment, whole = straight
    states = {step: (experiment.results / manifest.artefact / "state").exists() for step, manifest in whole.items()}
    assert states == {0: False, 11: True, LAST: False}
    assert not state.work_folder(experiment.results, "tiny", whole[0].facts["run_digest"]).exists()


def test_the_micro_batch_changes_nothing_but_rounding(straight: Any, tmp_path: Path) -> None:
    one, whole = straight
    other = Experiment(tmp_path)
    manifest = train(other, LAST, execution={"micro_batch": 2})
    for mine, theirs in zip(_rows(one, whole[LAST], "log.parquet"), _rows(other, manifest, "log.parquet"), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
        assert mine["tokens"] == theirs["tokens"]


def test_weight_decay_spares_norms_and_biases(tmp_path: Path) -> None:
    """With a learning rate that only decay can feel, what is decayed shrinks by exactly its factor."""
    experiment = Experiment(tmp_path)
    settings = {"weight_decay": 1e6, "learning_rate": 1e-7, "schedule": "constant", "warmup_ratio": 0.0}
    after = _weights(experiment, train(experiment, 1, optimization=settings))
    before = _weights(experiment, train(experiment, 0, optimization=settings))
    for name, value in before.items():
        kept = "norm" in name or "bias" in name
        torch.testing.assert_close(after[name], value if kept else 0.9 * value, rtol=0, atol=1e-6)


def test_the_best_weights_are_kept_and_training_stops(tmp_path: Path) -> None:
    settings = {
        "keep_best_every": 2,
        "optimization": {"total_steps": 40, "learning_rate": 0.3, "schedule": "constant", "gradient_clip": 100.0},
    }
    experiment = Experiment(tmp_path / "one")
    manifest = train(experiment, 40, **settings)
    heldout = _rows(experiment, manifest, "heldout.parquet")
    best = min(heldout, key=lambda row: row["loss"])
    assert manifest.facts["best_step"] == best["step"] and manifest.facts["tokens"] == best["tokens"]
    assert heldout[-1]["step"] < 40 and [row["step"] for row in heldout] == list(range(0, heldout[-1]["step"] + 1, 2))
    assert all(row["loss"] >= best["loss"] for row in heldout[-2:])
    # The checkpoint holds the best weights, also when the run was interrupted after them.
    other = Experiment(tmp_path / "other")
    with _signal_at(f"step {best['step'] + 1}/40"), pytest.raises(Interrupted):
        train(other, 40, execution={"log_steps": 1}, **settings)
    assert train(other, 40, **settings).digest == manifest.digest


class _signal_at(logging.Handler):
    """Sends this process SIGTERM when the training log shows a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.logger = text, logging.getLogger("unix_lib.train.log")

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            os.kill(os.getpid(), signal.SIGTERM)

    def __enter__(self) -> None:
        self.level_before = self.logger.level
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)
        self.logger.setLevel(self.level_before)


def test_sigterm_saves_and_the_next_attempt_continues(straight: Any, tmp_path: Path) -> None:
    _, whole = straight
    experiment = Experiment(tmp_path)
    with _signal_at("step 6/12"), pytest.raises(Interrupted, match=r"SIGTERM at step \d+/12.*saved"):
        train(experiment, LAST, execution={"log_steps": 1})
    assert not (experiment.job(LAST).folder / "manifest.json").exists()
    assert train(experiment, LAST).digest == whole[LAST].digest


def test_the_time_limit_counts_under_slurm_only() -> None:
    assert deadline(60, {}) is None
    now = time.monotonic()
    by_shape = deadline(60, {"SLURM_JOB_ID": "1"})
    by_slurm = deadline(60, {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(time.time() + 1000)})
    assert by_shape is not None and by_slurm is not None
    assert 3300 < by_shape - now < 3600 and 700 < by_slurm - now < 1000


def test_at_the_time_limit_a_segment_saves_and_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time()))
    with pytest.raises(Interrupted, match="the job's time limit at step 1/12"):
        train(experiment, LAST)
    with pytest.raises(Interrupted, match="the job's time limit at step 2/12"):  # every attempt makes progress
        train(experiment, LAST)


def test_a_writer_whose_run_was_taken_over_writes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM may suspend a job until another host takes its lock for left behind."""
    experiment = Experiment(tmp_path)
    job = experiment.job(LAST)
    work = state.work_folder(job.results, job.settings.run, job.settings.run_digest)
    original = SegmentTrainer.take_counts

    def taken_over(self: SegmentTrainer, *wishes: float) -> Any:
        other = {"token": "other", "host": "node17", "pid": 1, "slurm_job": None}
        lock_path(work).write_text(json.dumps(other))
        return original(self, *wishes)

    monkeypatch.setattr(SegmentTrainer, "take_counts", taken_over)
    with pytest.raises(LockError, match="another process took this over"):
        job.make()
    assert list(work.glob("step-*")) == []
    assert not (job.folder / MANIFEST).exists()
    assert "node17" in lock_path(work).read_text()


def test_a_loss_that_is_not_finite_names_the_step(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    settings = {"learning_rate": 1e30, "schedule": "constant", "warmup_ratio": 0.0, "gradient_clip": 1e9}
    with pytest.raises(TrainError, match=r"the loss of step [2-9] is (nan|inf)"):
        train(experiment, LAST, optimization=settings)


def test_packs_that_changed_under_a_state_are_refused(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    train(experiment, 2)
    shutil.rmtree(tmp_path / "pack")
    shutil.copytree(Experiment(tmp_path / "other", packs=6).results / "pack", tmp_path / "pack")
    with pytest.raises(TrainError, match="packs at position 4 are not those"):
        train(experiment, 3)


def test_two_processes_agree_with_one(straight: Any, tmp_path: Path) -> None:
    one, whole = straight
    experiment = Experiment(tmp_path)
    shape = {"nodes": 2}
    job = experiment.job(4, execution={"job": shape, "zero_stage": 2})
    subprocess.run(command(job), check=True, cwd=ROOT, env=environment())
    rows = pq.read_table(job.folder / "log.parquet").to_pylist()
    assert len(rows) == 4
    for mine, theirs in zip(rows, _rows(one, whole[LAST], "log.parquet"), strict=False):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
        assert mine["tokens"] == theirs["tokens"]
    continued = _rows(experiment, train(experiment, LAST, execution={"zero_stage": 2}), "log.parquet")
    for mine, theirs in zip(continued, _rows(one, whole[LAST], "log.parquet"), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_the_initialised_model_needs_no_deepspeed(tmp_path: Path) -> None:
    begun = command(Experiment(tmp_path).job(0))
    program = (
        "import os, sys, runpy; sys.argv = sys.argv[1:]; os._exit = lambda status: None; "
        "runpy.run_path(sys.argv[0], run_name='__main__'); "
        "print('deepspeed' in sys.modules)"
    )
    done = subprocess.run(
        [*begun[:2], "-c", program, *begun[2:]],
        check=True, cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"

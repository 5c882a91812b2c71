"""A state goes on under other ranks, ZeRO stages and precisions: every number of it, and the batches that follow."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.experiment import ROOT, Experiment, command, log_of, train
from tests.train.startup import NOTES_BATCHES, batches_in, starting_with
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.train import loader
from unix_lib.train.reshaping import KEYS, SavedTensors
from unix_lib.train.shards import TAG, deepspeed_shards, write_shards
from unix_lib.train.state import Numerics, read_progress

FREEZE = ["model.embed_tokens.*", "model.layers.*.mlp.*"]
BORDER, LAST = 4, 12  # eight batches follow; the experiment has seven packs, so epochs end among them
LOSS = 1e-4  # relative: what another order of summing changes in float32
BFLOAT16_LOSS = 2e-2

Compared = list[tuple[str, str]]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compared:
    """Names and kinds of the tensors that were dealt anew and found in the new engine to the last bit."""
    found: Compared = []
    original: Callable[..., None] = loader.put_tensors

    def put_tensors(saved: SavedTensors, engine: Any, step: int) -> None:
        original(saved, engine, step)
        again = tmp_path / f"again-{len(found)}"
        write_shards(deepspeed_shards(engine, again), dict)
        precision = "bfloat16" if engine.bfloat16_enabled() else "float32"
        numerics = Numerics(1, engine.zero_optimization_stage(), precision)
        now = SavedTensors(again / TAG, numerics, saved.optimized)
        for name in saved.optimized:
            for key in KEYS:
                assert torch.equal(now.tensor(name, key), saved.tensor(name, key)), (name, key)
                found.append((name, key))
        for name in set(engine.param_names.values()) - set(saved.optimized):
            dtype = now.frozen(name).dtype
            assert torch.equal(now.frozen(name), saved.frozen(name).to(dtype)), name
            found.append((name, "frozen"))

    monkeypatch.setattr(loader, "put_tensors", put_tensors)
    return found


def _agree(experiment: Experiment, manifest: Manifest, other: list[dict[str, Any]], tolerance: float = LOSS) -> None:
    rows = log_of(experiment, manifest)
    assert [row["step"] for row in rows] == [row["step"] for row in other[: len(rows)]]
    for mine, theirs in zip(rows, other, strict=False):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=tolerance)
        assert (mine["tokens"], mine["learning_rate"]) == (theirs["tokens"], theirs["learning_rate"])


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[dict[str, Any]]]:
    """Logs of the run of one process, without and with frozen tensors."""
    logs = {}
    for frozen in (False, True):
        experiment = Experiment(tmp_path_factory.mktemp("straight"))
        logs[frozen] = log_of(experiment, train(experiment, LAST, freeze=FREEZE if frozen else []))
    return logs


@pytest.mark.parametrize(
    ("before", "after", "frozen"),
    [
        ((0, "float32"), (3, "float32"), True),
        ((3, "float32"), (2, "float32"), False),
        ((2, "float32"), (0, "float32"), True),
        ((1, "bfloat16"), (3, "bfloat16"), True),
        ((3, "bfloat16"), (1, "float32"), False),
    ],
)
def test_another_stage_or_precision_starts_from_the_same_numbers(  # noqa: PLR0917
    before: tuple[int, str],
    after: tuple[int, str],
    frozen: bool,
    tmp_path: Path,
    straight: dict[bool, list[dict[str, Any]]],
    compared: Compared,
    empty_models: list[Path],
) -> None:
    experiment, freeze = Experiment(tmp_path / "results"), FREEZE if frozen else []
    for step, (stage, precision) in ((BORDER, before), (LAST, after)):
        execution = {"zero_stage": stage, "precision": precision}
        manifest = train(experiment, step, freeze=freeze, execution=execution)
    assert len(empty_models) == 1
    assert {key for _, key in compared} == {*KEYS, *(["frozen"] if frozen else [])}
    _agree(experiment, manifest, straight[frozen], BFLOAT16_LOSS if "bfloat16" in before + after else LOSS)


def _launched(experiment: Experiment, step: int, ranks: int, stage: int, noted: Path) -> Manifest:
    """A checkpoint by several processes, which note what they were dealt."""
    noted.mkdir()
    job = experiment.job(step, freeze=FREEZE, execution={"job": {"nodes": ranks}, "zero_stage": stage})
    environment = starting_with(noted.parent / "startup", NOTES_BATCHES, BATCHES=str(noted))
    subprocess.run(command(job), check=True, cwd=ROOT, env=environment)
    return read_manifest(job.folder)


@pytest.mark.slow
def test_two_processes_one_and_two_again(
    tmp_path: Path, straight: dict[bool, list[dict[str, Any]]], compared: Compared, batches: list[str]
) -> None:
    """All steps see the packs that one process sees, by their hashes; the loss goes on."""
    experiment = Experiment(tmp_path / "results")
    two = _launched(experiment, 2, 2, 3, tmp_path / "first")
    one = train(experiment, BORDER, freeze=FREEZE, execution={"zero_stage": 3})
    assert compared
    progress = [read_progress(experiment.results / manifest.artefact / "state") for manifest in (two, one)]
    assert [(at.world_size, at.packs) for at in progress] == [(2, 4), (1, 8)]
    last = _launched(experiment, LAST, 2, 3, tmp_path / "again")
    _agree(experiment, last, straight[True])
    dealt = batches_in(tmp_path / "first") + batches + batches_in(tmp_path / "again")
    del batches[:]
    train(Experiment(tmp_path / "alone"), LAST)
    assert len(dealt) == LAST * 2 and dealt == batches

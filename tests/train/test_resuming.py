"""A resumed segment needs its state and nothing that its run began with."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves
from transformers import Qwen2Config, Qwen2ForCausalLM

from tests.train.experiment import FRESH, SHAPE, TEXT_SIZE, Experiment, command, environment, train
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.models import PretrainedStart, RunStart, SharedPlan
from unix_lib.config.outside import Outside, identified

FREEZE = ["model.embed_tokens.*", "model.layers.*.mlp.*"]


@pytest.mark.parametrize(
    ("zero_stage", "precision", "tied", "freeze"),
    [
        (0, "float32", True, []),
        (0, "float32", False, FREEZE),
        (1, "bfloat16", True, FREEZE),
        (2, "float32", False, []),
        (2, "float32", True, FREEZE),
        (3, "float32", True, FREEZE),
        (3, "bfloat16", False, []),
    ],
)
def test_every_number_comes_from_the_state(  # noqa: PLR0917
    zero_stage: int,
    precision: str,
    tied: bool,
    freeze: list[str],
    tmp_path: Path,
    empty_models: list[Path],
    batches: list[str],
) -> None:
    """Weights, optimizer, losses and the eight batches that follow, across two ends of the packs."""
    begun = FRESH.model_copy(update={"shape": SHAPE.model_copy(update={"tie_embeddings": tied})})
    execution = {"zero_stage": zero_stage, "precision": precision}
    changes: dict[str, Any] = {"start": begun, "freeze": freeze, "execution": execution}
    straight = train(Experiment(tmp_path / "straight"), 11, **changes)
    whole = list(batches)
    assert empty_models == [] and len(whole) == 11 * 2
    chained = Experiment(tmp_path / "chained")
    before = train(chained, 3, **changes)
    del batches[:]
    after = train(chained, 11, **changes)
    assert after.digest == straight.digest
    assert len(batches) == 8 * 2 and batches == whole[-16:]
    assert empty_models == [chained.results / before.artefact / "state"]
    mine, theirs = (_tensors(tmp_path / name / after.artefact / "state") for name in ("straight", "chained"))
    assert len(mine) == len(theirs) > 30
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def _tensors(folder: Path) -> list[torch.Tensor]:
    """All that a state holds: weights, moments, random numbers."""
    saved = [torch.load(path, weights_only=False) for path in sorted(folder.rglob("*.pt"))]
    return [leaf for leaf in tree_leaves(saved) if isinstance(leaf, torch.Tensor)]


def _pretrained(folder: Path) -> PretrainedStart:
    """A small pretrained model, and the start that names it."""
    torch.manual_seed(3)
    Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=TEXT_SIZE,
            hidden_size=SHAPE.hidden_size,
            intermediate_size=SHAPE.intermediate_size,
            num_hidden_layers=SHAPE.layers,
            num_attention_heads=SHAPE.heads,
            num_key_value_heads=SHAPE.key_value_heads,
            tie_word_embeddings=SHAPE.tie_embeddings,
        )
    ).save_pretrained(folder)
    start = PretrainedStart(kind="pretrained", path=str(folder), shape=SHAPE)
    return identified(start, Outside(Path.cwd(), FileHashes(None)))


def test_a_run_from_a_pretrained_model_continues_without_it(tmp_path: Path) -> None:
    folder = tmp_path / "pretrained"
    changes: dict[str, Any] = {"start": _pretrained(folder)}
    straight, chained = Experiment(tmp_path / "straight"), Experiment(tmp_path / "chained")
    whole = train(straight, 4, **changes)
    train(chained, 2, **changes)
    shutil.rmtree(folder)
    assert train(chained, 4, **changes).digest == whole.digest
    with pytest.raises(UserError, match=r"train/tiny-step-00004-\w+: path .*pretrained changed after the plan"):
        train(Experiment(tmp_path / "late"), 4, **changes)


def test_a_run_from_another_run_continues_without_its_weights(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    base = train(experiment, 2, run="base", plan=SharedPlan(preset="shared"))
    changes: dict[str, Any] = {"start": RunStart(kind="run", run="base"), "started_from": base}
    train(experiment, 2, **changes)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
    whole = train(experiment, 4, **changes)
    (copy / base.artefact / "model" / "model.safetensors").unlink()
    assert train(Experiment.at(copy), 4, **changes).digest == whole.digest


@pytest.mark.slow
def test_two_processes_continue_from_the_state_that_the_first_one_found(tmp_path: Path) -> None:
    straight, chained = Experiment(tmp_path / "straight"), Experiment(tmp_path / "chained")
    changes: dict[str, Any] = {"execution": {"job": {"nodes": 2}, "zero_stage": 3}, "freeze": FREEZE}
    for experiment, steps in ((straight, [4]), (chained, [2, 4])):
        for step in steps:
            job = experiment.job(step, **changes)
            subprocess.run(command(job), check=True, env=environment())
    one, other = (read_manifest(experiment.job(4, **changes).folder) for experiment in (straight, chained))
    assert one.digest == other.digest

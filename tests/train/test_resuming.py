"""A resumed segment needs its state and nothing that its run began with."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from tests.train.experiment import FRESH, SHAPE, TEXT_SIZE, Experiment, command, environment
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.models import PretrainedStart, RunStart, SharedPlan
from unix_lib.config.outside import Outside, identified
from unix_lib.models import UnixForCausalLM, start
from unix_lib.train.make import make_checkpoint

FREEZE = ["model.embed_tokens.*", "model.layers.*.mlp.*"]


def _train(experiment: Experiment, step: int, **changes: Any) -> Manifest:
    manifest = make_checkpoint(experiment.job(step, **changes))
    assert manifest is not None
    return manifest


@pytest.fixture(autouse=True)
def no_zero_3_left() -> Iterator[None]:
    """Transformers remembers ZeRO 3 for the rest of a process, which is a single segment's outside of tests."""
    yield
    unset_hf_deepspeed_config()


@pytest.fixture
def empty_models(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that models without weights were made from; their memory is filled with NaN, which nothing outlives."""
    made: list[Path] = []
    original = start.model_of_config

    def model_of_config(folder: Path) -> UnixForCausalLM:
        model = original(folder)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)
        made.append(folder)
        return model

    monkeypatch.setattr(start, "model_of_config", model_of_config)
    return made


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
def test_every_weight_comes_from_the_state(  # noqa: PLR0917
    zero_stage: int, precision: str, tied: bool, freeze: list[str], tmp_path: Path, empty_models: list[Path]
) -> None:
    begun = FRESH.model_copy(update={"shape": SHAPE.model_copy(update={"tie_embeddings": tied})})
    execution = {"zero_stage": zero_stage, "precision": precision}
    changes: dict[str, Any] = {"start": begun, "freeze": freeze, "execution": execution}
    straight = _train(Experiment(tmp_path / "straight"), 4, **changes)
    assert empty_models == []
    chained = Experiment(tmp_path / "chained")
    before = _train(chained, 2, **changes)
    assert _train(chained, 4, **changes).digest == straight.digest
    assert empty_models == [chained.results / before.artefact / "state"]


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
    whole = _train(straight, 4, **changes)
    _train(chained, 2, **changes)
    shutil.rmtree(folder)
    assert _train(chained, 4, **changes).digest == whole.digest
    with pytest.raises(UserError, match=r"train/tiny-step-00004-\w+: path .*pretrained changed after the plan"):
        _train(Experiment(tmp_path / "late"), 4, **changes)


def test_a_run_from_another_run_continues_without_its_weights(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    base = _train(experiment, 2, run="base", plan=SharedPlan(preset="shared"))
    changes: dict[str, Any] = {"start": RunStart(kind="run", run="base"), "started_from": base}
    _train(experiment, 2, **changes)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
    whole = _train(experiment, 4, **changes)
    (copy / base.artefact / "model" / "model.safetensors").unlink()
    assert _train(Experiment.at(copy), 4, **changes).digest == whole.digest


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

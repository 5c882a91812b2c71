"""Runs with frozen tensors: they keep their bytes, the others learn, and segments continue as ever."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.experiment import Experiment
from unix_lib.artefacts.manifest import Manifest
from unix_lib.models import ModelError
from unix_lib.train.make import make_checkpoint

FREEZE = ["model.embed_tokens.*", "model.layers.*.mlp.*"]


def _train(experiment: Experiment, step: int, **changes: object) -> Manifest:
    manifest = make_checkpoint(experiment.job(step, freeze=FREEZE, **changes))
    assert manifest is not None
    return manifest


def _weights(experiment: Experiment, manifest: Manifest) -> dict[str, torch.Tensor]:
    return load_file(experiment.results / manifest.artefact / "model" / "model.safetensors")


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_frozen_tensors_stay_and_a_run_in_two_segments_is_the_same(zero_stage: int, tmp_path: Path) -> None:
    one, other = Experiment(tmp_path / "one"), Experiment(tmp_path / "other")
    execution = {"zero_stage": zero_stage}
    before = _weights(one, _train(one, 0, execution=execution))
    straight = _train(one, 4, execution=execution)
    for name, value in _weights(one, straight).items():
        frozen = name == "model.embed_tokens.weight" or ".mlp." in name
        assert torch.equal(value, before[name]) == frozen, name
    trainable = json.loads((one.results / straight.artefact / "trainable.json").read_text())
    assert set(trainable) == {name for name in before if "embed_tokens" not in name and ".mlp." not in name}
    _train(other, 2, execution=execution)
    assert _train(other, 4, execution=execution).digest == straight.digest


def test_a_pattern_without_a_tensor_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'model\.layer\.\*' matches no tensor"):
        make_checkpoint(Experiment(tmp_path).job(2, freeze=["model.layer.*"]))


def test_without_frozen_tensors_nothing_is_listed(tmp_path: Path) -> None:
    manifest = make_checkpoint(Experiment(tmp_path).job(0))
    assert manifest is not None and not any("trainable" in file.path for file in manifest.files)

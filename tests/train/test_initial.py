"""A run that begins with another experiment's checkpoint: its weights, and refused where ids mean something else."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.train.experiment import SHAPE, UNIX, Experiment
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import ArtefactError, Manifest, write_manifest
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.models import MoTPlan, PretrainedStart
from unix_lib.config.outside import Outside, identified
from unix_lib.models import ModelError
from unix_lib.train import initial
from unix_lib.train.make import make_checkpoint

WEIGHTS = Path("model") / "model.safetensors"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The artefact of a checkpoint of another experiment."""
    experiment = Experiment(tmp_path / "before")
    return experiment.results / begun(experiment).artefact


def begun(experiment: Experiment, checkpoint: Path | None = None, **changes: Any) -> Manifest:
    """Step 0 of a run, from the checkpoint where one is given."""
    if checkpoint is not None:
        start = PretrainedStart(kind="pretrained", path=str(checkpoint / "model"), shape=SHAPE)
        changes["start"] = identified(start, Outside(Path.cwd(), FileHashes(None)))
    manifest = make_checkpoint(experiment.job(0, **changes))
    assert manifest is not None
    return manifest


def test_a_checkpoint_of_another_experiment_goes_on_tensor_for_tensor(before: Path, tmp_path: Path) -> None:
    after = Experiment(tmp_path / "after")
    made = begun(after, before, seed=7, plan=UNIX)
    assert (before / WEIGHTS).read_bytes() == (after.results / made.artefact / WEIGHTS).read_bytes()
    with pytest.raises(ModelError, match="has plan 'unix 1:1', the run 'mot'"):
        begun(after, before, plan=MoTPlan(preset="mot"))


def test_what_was_damaged_or_changed_is_refused(before: Path, tmp_path: Path) -> None:
    after = Experiment(tmp_path / "after")
    whole = (before / WEIGHTS).read_bytes()
    (before / WEIGHTS).write_bytes(whole[:-4] + bytes(4))
    assert (before / WEIGHTS).read_bytes() != whole and load_file(before / WEIGHTS)
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        begun(after, before)
    (before / WEIGHTS).write_bytes(whole[:-400])
    with pytest.raises(ModelError, match="unreadable weights"):
        begun(after, before)


def test_ids_that_stand_for_other_texts_are_refused(before: Path, tmp_path: Path) -> None:
    after = Experiment(tmp_path / "after")
    folder = after.results / "tokenizers" / "text-000000000000"
    tokenizer = folder / "tokenizer" / "tokenizer.json"
    other = tokenizer.read_text().replace('"w40"', '"x40"')
    assert other != tokenizer.read_text()
    tokenizer.write_text(other)
    write_manifest(folder, "0" * 64, {"tokenizer/tokenizer.json": None})
    with pytest.raises(UserError, match="trained with another text tokenizer, of as many ids"):
        begun(after, before)


@pytest.mark.parametrize("same", [True, False])
def test_codes_of_another_image_tokenizer_are_refused(
    same: bool, before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = Experiment(tmp_path / "after")
    tokenizers = {before.parent.parent: b"codebook", after.results: b"codebook" if same else b"other"}
    for results, content in tokenizers.items():
        folder = results / "tokenizers" / f"image-{results.name}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(content)
        write_manifest(folder, results.name, {"model.safetensors": None})

    def behind(artefact: Path) -> Path:
        results = artefact.parent.parent
        return results / "tokenizers" / f"image-{results.name}"

    monkeypatch.setattr(initial, "image_tokenizer_of", behind)
    if same:
        assert begun(after, before)
    else:
        with pytest.raises(UserError, match="trained with another image tokenizer, image-before, of as many codes"):
            begun(after, before)

"""How a checkpoint says that its images are sampled."""

import copy
from pathlib import Path

import pytest

from tests.artefacts.damage import DAMAGES, damage, sealed_values
from tests.workflow.small_config import CONFIG
from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import open_artefact, write_manifest
from unix_lib.artefacts.recipe import RECIPE
from unix_lib.artefacts.sealed import SealError, sealed_text
from unix_lib.checkpoints.errors import CheckpointError, NoImages
from unix_lib.checkpoints.open import image_tokenizer_of
from unix_lib.checkpoints.sampling import read_sampling
from unix_lib.config import parse_experiment
from unix_lib.config.generate import SAMPLING, ImageSampling
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import link_current


@pytest.mark.parametrize("content", ['{"temperature": -1}', '{"temprature": 1}'])
def test_what_is_no_sampling_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / SAMPLING).write_text(content)
    with pytest.raises(CheckpointError, match=r"sampling\.json: no sampling settings \(.*\); delete it"):
        read_sampling(tmp_path)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_sampling_is_refused(how: str, tmp_path: Path) -> None:
    path = tmp_path / SAMPLING
    path.write_text(sealed_text(ImageSampling().model_dump()))
    damage(path, how)
    if how == "missing":
        assert read_sampling(tmp_path) is None
        return
    with pytest.raises(SealError, match=r"sampling\.json: .*; delete it"):
        read_sampling(tmp_path)


def _plan(**image_sampling: float) -> Plan:
    values = copy.deepcopy(CONFIG)
    values["generate"] = values.get("generate", {}) | {"image_sampling": image_sampling}
    return resolve(parse_experiment(values, "test", Path()), Path())


def _finish(plan: Plan, artefact: str, results: Path) -> Path:
    """An artefact with its recipe and nothing else."""
    write_json(results / artefact / RECIPE, plan.jobs[artefact].recipe.as_json())
    write_manifest(results / artefact, plan.jobs[artefact].recipe.digest, {RECIPE: None})
    return results / artefact


def test_finished_checkpoints_say_how_the_experiment_samples_now(tmp_path: Path) -> None:
    plan = _plan(temperature=0.6, top_k=5, images_per_prompt=2)
    first, *others = plan.of_stage("train")
    folder = _finish(plan, first, tmp_path)
    link_current(plan, tmp_path)
    assert sealed_values(folder / SAMPLING) == ImageSampling(temperature=0.6, top_k=5).model_dump()
    assert not any((tmp_path / other).exists() for other in others) and others
    written = (folder / SAMPLING).stat()
    link_current(plan, tmp_path)
    assert (folder / SAMPLING).stat() == written
    (folder / SAMPLING).write_bytes(b"\xff")
    changed = _plan(temperature=0.9)
    assert changed.of_stage("train") == [first, *others]  # how images are sampled trains nothing again
    link_current(changed, tmp_path)
    assert read_sampling(folder) == ImageSampling(temperature=0.9)
    assert [file.path for file in open_artefact(folder).files] == [RECIPE]


def test_a_planned_checkpoint_leads_to_its_image_tokenizer(tmp_path: Path) -> None:
    plan = _plan()
    assert plan.experiment.train is not None
    for artefact in plan.of_stage("train", "pack", "encode", "tokenizers"):
        _finish(plan, artefact, tmp_path)
    for checkpoint in plan.of_stage("train"):
        run = plan.experiment.train.runs[plan.jobs[checkpoint].recipe.settings["run"]]
        if any(role.startswith("codes:") for role in plan.jobs[plan.pack(run.mixture)].recipe.inputs):
            assert image_tokenizer_of(tmp_path / checkpoint) == tmp_path / plan.named("tokenizers", "image")
        else:
            with pytest.raises(NoImages, match="nothing it was made from had images"):
                image_tokenizer_of(tmp_path / checkpoint)

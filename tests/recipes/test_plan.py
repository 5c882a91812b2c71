"""What a plan's recipes depend on, and what they don't."""

import copy
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.conftest import CONFIG
from unix_lib.artefacts.errors import UserError
from unix_lib.config import load_experiment, parse_experiment
from unix_lib.recipes.external import FileHashes, files_identity, require_unchanged
from unix_lib.recipes.plan import Plan, resolve
from unix_lib.artefacts.recipe import Recipe, RecipeError, read_recipe, write_recipe

ROOT = Path(__file__).resolve().parents[2]


def plan_of(change: Any = None) -> Plan:
    values = copy.deepcopy(CONFIG)
    if change is not None:
        change(values)
    return resolve(parse_experiment(values, "test", ROOT), ROOT)


def changed(change: Any) -> set[str]:
    """Names of the jobs whose recipe a change alters."""
    before = {(j.recipe.stage, j.recipe.name): a for a, j in plan_of().jobs.items()}
    after = {(j.recipe.stage, j.recipe.name): a for a, j in plan_of(change).jobs.items()}
    return {f"{stage}/{name}" for (stage, name), a in after.items() if before.get((stage, name)) != a}


def test_every_input_is_planned_before_it_is_used() -> None:
    seen: set[str] = set()
    for artefact, job in plan_of().jobs.items():
        assert set(job.recipe.upstream) <= seen
        assert set(job.after) <= seen
        seen.add(artefact)


def test_a_change_alters_exactly_what_is_behind_it() -> None:
    def other_seed(values: dict[str, Any]) -> None:
        values["train"]["runs"]["unix"]["seed"] = 7

    names = changed(other_seed)
    assert all("unix" in name or name.startswith(("figures/scores", "report/")) for name in names)
    assert "train/unix-step-00000" in names


def test_operational_and_numeric_keys_alter_nothing() -> None:
    def other_machine(values: dict[str, Any]) -> None:
        values["train"] |= {"micro_batch": 1, "zero_stage": 2, "job": {"gpus": 1, "nodes": 2}}
        values["evaluate"]["batch_size"] = 7

    assert changed(other_machine) == set()


def test_separators_alter_the_vocabulary_and_what_is_behind_it() -> None:
    def a_row_each(values: dict[str, Any]) -> None:
        values["tokenizers"]["image_separator_every"] = 8

    names = changed(a_row_each)
    assert {"tokenizers/vocabulary", "pack/mixed", "train/unix-step-00000"} <= names
    assert not any(name.startswith(("sources/", "encode/", "tokenizers/text", "tokenizers/image")) for name in names)


def test_a_checkpoint_depends_on_its_run_and_step_not_on_the_list_of_checkpoints() -> None:
    def one_more(values: dict[str, Any]) -> None:
        values["train"]["runs"]["unix"]["checkpoints"] = [0, 10, 20, 30]

    assert {n for n in changed(one_more) if n.startswith("train/")} == {"train/unix-step-00020"}


def test_the_largest_shipped_plan_stays_under_a_thousand_jobs() -> None:
    plan = resolve(load_experiment(ROOT / "config" / "ablation-1.5b.yaml"), ROOT)
    assert len(plan.jobs) <= 1000


def test_external_files_are_part_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    cache = tmp_path / "hashes.json"
    hashes = FileHashes(cache)
    first = files_identity([tmp_path / "a.txt"], tmp_path, hashes)
    hashes.save()
    assert files_identity([tmp_path / "a.txt"], tmp_path, FileHashes(cache)) == first
    (tmp_path / "a.txt").write_text("two!")
    assert files_identity([tmp_path / "a.txt"], tmp_path, FileHashes(cache)) != first
    assert files_identity([tmp_path / "absent"], tmp_path, hashes)["count"] == 0
    cache.write_text("damaged")
    assert files_identity([tmp_path / "a.txt"], tmp_path, FileHashes(cache))["bytes"] == 4


def test_the_identity_of_files_bears_any_name(tmp_path: Path) -> None:
    folder, cache = tmp_path / "images", tmp_path / "hashes.json"
    folder.mkdir()
    odd = folder / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes(b"one")
    hashes = FileHashes(cache)
    first = files_identity([folder], tmp_path, hashes)
    hashes.save()
    assert files_identity([folder], tmp_path, FileHashes(cache)) == first
    odd.rename(folder / "caf\u00e9.png")
    assert files_identity([folder], tmp_path, hashes)["sha256"] != first["sha256"]
    listed = f"images/caf\u00e9.png\0{3}\0{hashlib.sha256(b'one').hexdigest()}\n"
    assert files_identity([folder], tmp_path, hashes)["sha256"] == hashlib.sha256(listed.encode()).hexdigest()


def test_a_local_pretrained_folder_is_part_of_the_recipe_and_a_hub_id_is_not(tmp_path: Path) -> None:
    values = copy.deepcopy(CONFIG)
    model = tmp_path / "models" / "qwen"
    shape = values["train"]["runs"]["base"]["start"]["shape"]
    values["train"]["runs"]["base"]["start"] = {"kind": "pretrained", "path": "models/qwen", "shape": shape}
    values["tokenizers"]["text"] = {"kind": "pretrained", "path": "models/qwen"}

    def recipes() -> dict[str, Recipe]:
        plan = resolve(parse_experiment(values, "test", ROOT), tmp_path)
        return {f"{job.recipe.stage}/{job.recipe.name}": job.recipe for job in plan.jobs.values()}

    hub = recipes()
    assert "identity" not in hub["tokenizers/text"].settings
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"one")
    first = recipes()
    base = next(name for name in first if name.startswith("train/base"))
    assert first["tokenizers/text"].settings["identity"]["count"] == 1
    assert first[base].settings["start"]["identity"] == first["tokenizers/text"].settings["identity"]
    (model / "model.safetensors").write_bytes(b"two")
    assert {name for name, recipe in recipes().items() if recipe.digest == first[name].digest} == {
        name for name in first if name.startswith(("sources/", "encode/", "tokenizers/image"))
    }


def test_what_was_changed_after_the_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(b"one")
    identity = files_identity([tmp_path / "weights"], tmp_path, FileHashes(None))
    require_unchanged("train.runs.base.start.path", Path("weights"), identity)
    (tmp_path / "weights").write_bytes(b"two")
    with pytest.raises(UserError, match=r"^train\.runs\.base\.start\.path: weights was changed after the plan"):
        require_unchanged("train.runs.base.start.path", Path("weights"), identity)


def test_a_recipe_is_written_once_and_refused_when_changed(tmp_path: Path) -> None:
    recipe = Recipe("pack", "mixed", 1, {"length": 10}, {"records": ["encode/a-0", "encode/b-0"], "v": "x/y-0"})
    write_recipe(recipe, tmp_path)
    path = recipe.path(tmp_path)
    assert read_recipe(path) == recipe
    assert recipe.upstream == ["encode/a-0", "encode/b-0", "x/y-0"]
    path.write_text(path.read_text().replace("10", "11"))
    with pytest.raises(RecipeError, match="was changed"):
        read_recipe(path)
    write_recipe(recipe, tmp_path)  # an existing file is left as it is
    path.write_text("{")
    with pytest.raises(RecipeError, match="unreadable"):
        read_recipe(path)
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "none.json")


def test_the_digest_covers_every_part_of_a_recipe() -> None:
    base = Recipe("pack", "mixed", 1, {"length": 10}, {"a": "x/y-0"})
    others = [
        Recipe("pack", "mixed", 2, {"length": 10}, {"a": "x/y-0"}),
        Recipe("pack", "mixed", 1, {"length": 11}, {"a": "x/y-0"}),
        Recipe("pack", "mixed", 1, {"length": 10}, {"a": "x/y-1"}),
        Recipe("pack", "text", 1, {"length": 10}, {"a": "x/y-0"}),
    ]
    assert len({r.digest for r in [base, *others]}) == 5

"""Manifests, verification and atomic writing: damage of any sort is found and named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.artefacts.damage import flip_bit
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import atomic_path, sha256_of
from unix_lib.artefacts.manifest import ArtefactError, open_artefact, read_manifest
from unix_lib.artefacts.recipe import Recipe, RecipeError, read_recipe, results_of, write_recipe
from unix_lib.artefacts.sealed import seal
from unix_lib.artefacts.verify import verify
from unix_lib.config.jobs import Execution
from unix_lib.config.strict import StrictModel
from unix_lib.jobs.job import Job


def make_job(results: Path, recipe: Recipe) -> Job[Any, Any]:
    write_recipe(recipe, results)
    job: Job[Any, Any] = Job(recipe, results, StrictModel(), Execution())
    job.folder.mkdir(parents=True, exist_ok=True)
    return job


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One finished artefact and one that builds on it."""
    source = Recipe("sources", "a", "digits/records", 1, {"x": 1})
    job = make_job(tmp_path, source)
    (job.folder / "data.bin").write_bytes(bytes(range(256)) * 40)
    job.finish({"data.bin": 40}, rejected={"corrupt": 2}, facts={"rows": 40}, metrics={"speed": 1.5})
    make_job(tmp_path, Recipe("pack", "b", "packs", 1, {}, {"records": [source.artefact]})).finish({})
    return tmp_path


def folder_of(results: Path, stage: str) -> Path:
    (folder,) = results.glob(f"{stage}/*")
    return folder


def test_a_manifest_says_what_was_made_and_how(results: Path) -> None:
    manifest = open_artefact(folder_of(results, "sources"))
    assert [entry.path for entry in manifest.files] == ["data.bin", "recipe.json"]
    assert manifest.rejected == {"corrupt": 2}
    assert manifest.facts == {"rows": 40}
    assert manifest.provenance["metrics"] == {"speed": 1.5}
    assert manifest.provenance["packages"]["python"]


def test_identity_ignores_provenance(results: Path, tmp_path: Path) -> None:
    folder = folder_of(results, "sources")
    before = read_manifest(folder).digest
    job = make_job(results, Recipe("sources", "a", "digits/records", 1, {"x": 1}))
    job.finish({"data.bin": 40}, rejected={"corrupt": 2}, facts={"rows": 40}, metrics={"speed": 9.9})
    assert read_manifest(folder).digest == before
    job.finish({"data.bin": 40}, rejected={"corrupt": 3}, facts={"rows": 40})
    assert read_manifest(folder).digest != before


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damaged_files_are_found_by_reader_and_verify(results: Path, damage: str) -> None:
    path = folder_of(results, "sources") / "data.bin"
    content = bytearray(path.read_bytes())
    path.chmod(0o644)
    if damage == "flip":
        content[1234] ^= 1
        path.write_bytes(content)
        path.chmod(0o444)
    elif damage == "truncate":
        path.write_bytes(content[:-1])
    else:
        path.unlink()
    with pytest.raises(ArtefactError, match=r"data\.bin"):
        open_artefact(path.parent)
    found = verify(results)
    assert len(found.faults) == 1
    assert "data.bin" in found.faults[0]
    job = make_job(results, Recipe("pack", "c", "packs", 1, {}, {"records": f"sources/{path.parent.name}"}))
    with pytest.raises(ArtefactError, match="run again"):
        job.input("records")


def test_verify_finds_altered_manifests_recipes_and_foreign_folders(results: Path) -> None:
    assert verify(results).faults == []
    folder = folder_of(results, "sources")
    shutil.copytree(folder, folder.with_name("a-000000000000"))
    manifest = folder / "manifest.json"
    values = json.loads(manifest.read_text())
    values["content"]["facts"]["rows"] = 41
    manifest.write_text(json.dumps(values))
    recipe = next((results / "recipes" / "pack").glob("b-*[0-9a-f].json"))
    recipe.write_text(recipe.read_text().replace('"b"', '"d"'))
    faults = "\n".join(verify(results).faults)
    assert "was altered after it was written" in faults
    assert "the recipe was changed" in faults
    assert "a-000000000000: its manifest follows recipe" in faults


def test_no_flipped_bit_of_a_recipe_is_taken_for_an_earlier_version(results: Path) -> None:
    """What has no kind is one only under the digest that it has."""
    path = next((results / "recipes" / "pack").glob("b-*[0-9a-f].json"))
    for bit in range(8 * path.stat().st_size):
        flip_bit(path, bit)
        with pytest.raises(RecipeError, match=r"unreadable recipe|was changed"):
            read_recipe(path)
        flip_bit(path, bit)
    for values in ("NaN", '"\\ud800"', "{}"):
        path.write_text(f'{{"stage": "pack", "name": {values}, "kind": 1, "logic_version": 1, "settings": {values}}}')
        with pytest.raises(RecipeError, match=r"unreadable recipe|was changed"):
            read_recipe(path)


def test_a_manifest_without_provenance_is_damaged(results: Path) -> None:
    manifest = folder_of(results, "sources") / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"provenance": None}))
    with pytest.raises(ArtefactError, match="unreadable manifest"):
        read_manifest(manifest.parent)
    (fault,) = verify(results).faults
    assert fault.startswith(f"{manifest}: unreadable manifest")


def test_verify_refuses_a_folder_without_artefacts(results: Path) -> None:
    for folder in (results / "sources", results / "recipes"):
        with pytest.raises(UserError, match="no finished artefact in it; give results/<experiment>"):
            verify(folder)


def test_an_artefact_without_manifest_was_never_finished(results: Path) -> None:
    folder = folder_of(results, "sources")
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtefactError, match="never finished"):
        open_artefact(folder)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_sha256_agrees_with_the_standard_vector(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_job_refuses_an_output_that_is_not_its_own(tmp_path: Path) -> None:
    recipe = Recipe("encode", "a", "codes", 1, {})
    write_recipe(recipe, tmp_path)
    execution = tmp_path / "e.json"
    execution.write_text("{}")
    with pytest.raises(ValueError, match="is not the output of recipe"):
        Job.from_files(recipe.path(tmp_path), execution, tmp_path / "elsewhere" / "manifest.json")


@pytest.mark.parametrize(
    ("recipe", "results"),
    [
        ("/a/results/x/recipes/train/y.json", "/a/results/x"),
        ("recipes/train/y.json", "."),
        ("y.json", "."),
        ("", "."),
        ("/", "/"),
    ],
)
def test_every_recipe_has_results_also_where_none_should_be(recipe: str, results: str) -> None:
    assert results_of(Path(recipe)) == Path(results)


def test_verify_checks_sealed_folders_beside_the_manifest(results: Path) -> None:
    state = folder_of(results, "sources") / "state"
    state.mkdir()
    (state / "optimizer.pt").write_bytes(b"moments")
    seal(state)
    assert verify(results).faults == []
    (state / "optimizer.pt").write_bytes(b"momentz")
    assert verify(results).faults == [f"{state / 'optimizer.pt'}: content differs from its sha256"]
    (state / "optimizer.pt").unlink()
    assert verify(results).faults == [f"{state / 'optimizer.pt'}: missing"]

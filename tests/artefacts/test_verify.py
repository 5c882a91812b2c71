"""`verify` finds any damage of anything that is believed, over every file of a finished experiment."""

import json
import random
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.artefacts.damage import files_in, flip_bit
from tests.workflow.project import Project
from unix_lib.artefacts.manifest import MANIFEST, open_artefact, read_manifest, write_manifest
from unix_lib.artefacts.sealed import HASHES, SEAL, sealed_folder, sealed_text
from unix_lib.artefacts.verify import LEFT_OUT, NOT_COVERED, Verification, verify


@pytest.fixture
def results(project: Project) -> Path:
    """A finished experiment, with a checkpoint as real training leaves one and what a killed job left."""
    results = project.results
    (checkpoint,) = results.glob("train/unix-step-00010-*")
    manifest = read_manifest(checkpoint)
    (checkpoint / "speed.parquet").write_bytes(b"speeds")
    files = {entry.path: entry.rows for entry in manifest.files}
    write_manifest(checkpoint, manifest.recipe, files, beside=["speed.parquet"])
    (checkpoint / "sampling.json").write_text(sealed_text({"temperature": 0.9}))
    for folder in (checkpoint / "state", results / "work" / "train" / "unix-0123456789ab" / "step-00002"):
        with sealed_folder(folder) as state:
            (state / "deepspeed").mkdir()
            (state / "deepspeed" / "optimizer.pt").write_bytes(b"moments")
            (state / "random-00000.pt").write_bytes(b"random numbers")
    return results


def covered(results: Path) -> list[Path]:
    """The files that `verify` is to look at."""
    return [
        path
        for path in files_in(results)
        if not any(fnmatch(path.relative_to(results).as_posix(), each) for each in NOT_COVERED)
    ]


def assert_every_flip_is_found(results: Path) -> None:
    """Flip a bit of every file and see each of them named: first files, then what proves them."""
    clean = verify(results)
    assert (clean.faults, clean.unproven) == ([], [])
    rng = random.Random(218)
    files, proofs = covered(results), (HASHES, MANIFEST)
    assert len(files) > clean.files  # recipes, execution settings ...
    for chosen in (
        [path for path in files if path.name not in proofs],
        *([path for path in files if path.name == name] for name in proofs),
    ):
        before = {path: path.read_bytes() for path in chosen}
        for path, data in before.items():
            if data:
                flip_bit(path, rng.randrange(8 * len(data)))
        found = verify(results)
        lines = [*found.faults, *found.unproven]
        for path, data in before.items():
            named = path.parent if path.name in proofs else path
            assert not data or any(str(named) in line for line in lines), path
            path.write_bytes(data)
    assert verify(results).faults == []


def test_a_flipped_bit_in_any_file_is_found(results: Path) -> None:
    kinds = {path.name for path in covered(results)}
    assert {"speed.parquet", "sampling.json", "optimizer.pt", ".file-hashes.json", "recipe.json"} <= kinds
    assert any(name.endswith(".execution.json") for name in kinds)
    assert_every_flip_is_found(results)


def test_what_is_not_looked_at_is_there_and_listed(results: Path) -> None:
    """A new file that nothing proves must not hide behind a pattern."""
    hidden = [path.relative_to(results).as_posix() for path in files_in(results) if path not in covered(results)]
    assert {path.split("/")[0] for path in hidden} == {".snakemake.lock", "benchmarks", "logs", "made", "planned.json"}


def test_every_bit_of_a_manifest_is_proven(results: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Damage in its provenance leaves the artefact whole, and nothing is believed of where it came from."""
    (folder,) = results.glob("train/unix-step-00010-*")
    path = folder / MANIFEST
    digest, size = read_manifest(folder).digest, path.stat().st_size
    provenance = path.read_text().index('"provenance"')
    altered = 0
    for bit in random.Random(1).sample(range(8 * size), 600):
        flip_bit(path, bit)
        caplog.clear()
        try:
            manifest = open_artefact(folder)
        except Exception as error:
            assert type(error).__name__ == "ArtefactError"
        else:
            assert bit // 8 > provenance or manifest.artefact != f"train/{folder.name}"
            assert (manifest.digest, manifest.sealed) == (digest, False)
            assert manifest.provenance["host"] == "unknown" and manifest.beside == []
            assert "its provenance was altered" in caplog.text
            altered += 1
        flip_bit(path, bit)
    assert altered > 50


def test_a_manifest_of_an_earlier_version_is_accepted_and_named(results: Path) -> None:
    (folder,) = results.glob("pack/mixed-*")
    values = json.loads((folder / MANIFEST).read_text())
    del values[SEAL], values["provenance"]["beside"]
    (folder / MANIFEST).write_text(json.dumps(values))
    assert open_artefact(folder).sealed is None
    found = verify(results)
    assert found.faults == []
    assert found.unproven == [f"{folder / MANIFEST}: its provenance; of an earlier version, without a seal"]


def test_what_nothing_proves_is_named(results: Path) -> None:
    (folder,) = results.glob("pack/mixed-*")
    (checkpoint,) = results.glob("train/unix-step-00010-*")
    leftover, stranger = folder / ".epoch-000.arrow.abc.part", checkpoint / "state" / HASHES
    leftover.write_bytes(b"half a file")
    stranger.unlink()
    (checkpoint / "speed.parquet").unlink()
    unfinished = folder.with_name("mixed-000000000000")
    shutil.copytree(folder, unfinished)
    (unfinished / MANIFEST).unlink()
    found = verify(results)
    assert found.faults == []
    assert set(found.unproven) == {
        f"{leftover}: left by a process that was killed; nothing reads it",
        f"{unfinished}: never finished",
        f"{unfinished / leftover.name}: left by a process that was killed; nothing reads it",
        f"{checkpoint / 'speed.parquet'}: missing; the artefact is whole without it",
        f"{checkpoint / 'state' / 'deepspeed' / 'optimizer.pt'}: neither in a manifest nor sealed",
        f"{checkpoint / 'state' / 'random-00000.pt'}: neither in a manifest nor sealed",
    }


def test_a_model_that_stays_where_it_was_made_is_no_damage(results: Path) -> None:
    (checkpoint,) = results.glob("train/unix-step-00010-*")
    model = [checkpoint / "model" / name for name in ("config.json", "weights")]
    model[0].parent.mkdir()
    for path in model:
        path.write_text(path.name)
    files = {entry.path: entry.rows for entry in read_manifest(checkpoint).files}
    files |= dict.fromkeys(path.relative_to(checkpoint).as_posix() for path in model)
    write_manifest(checkpoint, read_manifest(checkpoint).recipe, files)
    (results / LEFT_OUT).write_text("# what a pull does not bring\n/train/unix-step-00010-*/model/\n")
    assert verify(results).faults == []
    model[0].unlink()
    assert verify(results).faults == [f"{model[0]}: missing"]  # a part of it is not left out on purpose
    shutil.rmtree(model[0].parent)
    found = verify(results)
    assert found.faults == []
    assert {f"{path}: not here; it stays where it was made" for path in model} <= set(found.unproven)
    (results / LEFT_OUT).unlink()
    assert verify(results).faults == [f"{path}: missing" for path in model]


def test_progress_ends_with_everything_hashed(results: Path) -> None:
    seen: list[tuple[int, int]] = []

    def note(so_far: Verification) -> None:
        seen.append((so_far.hashed_files, so_far.hashed_bytes))

    found = verify(results, note)
    assert seen[-1] == (found.files, found.bytes)
    assert found.bytes > 0


def test_verify_can_be_interrupted(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(so_far: Verification) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unix_lib.artefacts.verify.POLL_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt):
        verify(results, interrupt)

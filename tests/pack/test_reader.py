"""Packs come back from disk as they were written, row by row; their tokens are there once."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.pack.by_hand import Document, write_packs
from tests.pack.experiment import Experiment
from unix_lib.pack import writer
from unix_lib.pack.planner import PackError
from unix_lib.pack.reader import PackReader
from unix_lib.pack.sequences import FIXED_PARTS_FILE
from unix_lib.tokenizers.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def folder(experiment: Experiment) -> Path:
    return experiment.pack({"scenes": experiment.scenes, "prose": experiment.prose}, pack_length=90, epochs=3)[1]


def test_packs_are_what_was_written_in_order(tmp_path: Path, vocabulary: Vocabulary) -> None:
    """Three epochs of random documents, and the held-out ones."""
    rng = np.random.default_rng(3)

    def packs(count: int) -> list[list[Document]]:
        lengths = [rng.integers(1, 20, rng.integers(1, 5)) for _ in range(count)]
        return [
            [(rng.integers(0, 300, n).tolist(), [False, *(rng.random(n - 1) < 0.5)]) for n in of_pack]
            for of_pack in lengths
        ]

    files = {"epoch-000": packs(5), "epoch-001": packs(1), "epoch-002": packs(7), "heldout": packs(2)}
    write_packs(tmp_path, files, vocabulary, length=80)
    reader = PackReader(tmp_path)
    assert (reader.packs_per_epoch, reader.pack_length) == ([5, 1, 7], 80)
    for read, names in ((reader, list(files)[:3]), (reader.heldout(), ["heldout"])):
        expected = [pack for name in names for pack in files[name]]
        assert len(read) == len(expected)
        for number in rng.permutation(len(expected)):
            pack = read[int(number)]
            assert pack.input_ids.tolist() == [token for ids, _ in expected[number] for token in ids]
            assert pack.loss_mask.tolist() == [target for _, mask in expected[number] for target in mask]
            assert pack.document_lengths.tolist() == [len(ids) for ids, _ in expected[number]]


def test_types(folder: Path) -> None:
    pack = PackReader(folder)[3]
    assert (pack.input_ids.dtype, pack.loss_mask.dtype, pack.document_lengths.dtype) == (np.int32, np.bool_, np.int32)


def test_tokens_are_stored_once_whatever_the_epochs(experiment: Experiment) -> None:
    """Ten epochs more take a few bytes a document; one copy of the tokens is what a pack of int32 would be."""
    sources = {"scenes": experiment.scenes, "prose": experiment.prose}
    parts = [{"source": name, "kinds": []} for name in sources]
    sizes = []
    for epochs in (1, 11):
        manifest, folder = experiment.pack(sources, parts=parts, epochs=epochs)
        sizes.append(sum((folder / f"epoch-{epoch:03d}.arrow").stat().st_size for epoch in range(epochs)))
        stored = sum(path.stat().st_size for path in folder.glob("train-*.bin"))
    documents = manifest.facts["files"]["epoch-000.arrow"]["documents"]
    assert stored < 4 * manifest.facts["files"]["epoch-000.arrow"]["tokens"]
    assert sizes[1] - sizes[0] < 10 * (12 * documents + 4000)


def test_many_small_batches_read_like_one_large(
    experiment: Experiment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are found across record batches, the last of which is short."""
    monkeypatch.setattr(writer, "PACKS_PER_BATCH", 4)
    parts = [{"source": "scenes"}, {"source": "prose", "kinds": ["text"]}]  # the same records by another recipe
    sources = {"scenes": experiment.scenes, "prose": experiment.prose}
    _, small = experiment.pack(sources, parts=parts, pack_length=90, epochs=3)
    assert small != folder
    one, other = PackReader(folder), PackReader(small)
    assert one.packs_per_epoch == other.packs_per_epoch
    assert pa.ipc.open_file(small / "epoch-000.arrow").num_record_batches > 3
    assert one.packs_per_epoch[0] % 4, "the last batch should be short here"
    for index in reversed(range(len(one))):
        assert (one[index].input_ids == other[index].input_ids).all()
        assert (one[index].loss_mask == other[index].loss_mask).all()


def test_indices_outside_are_refused(folder: Path) -> None:
    reader = PackReader(folder)
    for index in (-1, len(reader)):
        with pytest.raises(IndexError, match=f"pack {index} of {len(reader)}"):
            reader[index]


def test_a_reader_travels_to_another_process(folder: Path) -> None:
    reader = PackReader(folder)
    before = reader[5].input_ids.tolist()
    assert pickle.loads(pickle.dumps(reader))[5].input_ids.tolist() == before


def test_damaged_and_missing_files_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(PackError, match=r"no epoch-\*\.arrow here; run the pack stage"):
        PackReader(tmp_path)
    for path in folder.iterdir():
        if path.suffix != ".arrow":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = (folder / "epoch-000.arrow").read_bytes()
    (tmp_path / "epoch-000.arrow").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackError, match=r"epoch-000\.arrow: no pack file"):
        PackReader(tmp_path)
    (tmp_path / "epoch-000.arrow").write_bytes(whole)
    with pytest.raises(PackError, match=r"heldout\.arrow: missing"):
        PackReader(tmp_path).heldout()
    (tmp_path / "heldout.arrow").write_bytes((folder / "heldout.arrow").read_bytes())
    for name in ("train-text-00000.bin", "train-ends.bin", "train-pieces.json", FIXED_PARTS_FILE):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        with pytest.raises(PackError, match=rf"{name}: missing; delete .* and run again"):
            PackReader(tmp_path)[0]
        (tmp_path / name).write_bytes(kept[:-3])
        with pytest.raises(PackError, match=rf"{name}: damaged"):
            PackReader(tmp_path)[0]
        (tmp_path / name).write_bytes(kept)
    assert len(PackReader(tmp_path)[0].input_ids)

"""Packs come back from disk as they were written, row by row, without copies."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.pack.experiment import Experiment
from unix_lib.pack import writer
from unix_lib.pack.planner import PackError
from unix_lib.pack.reader import PackReader


@pytest.fixture(scope="module")
def folder(experiment: Experiment) -> Path:
    return experiment.pack({"scenes": experiment.scenes, "prose": experiment.prose}, pack_length=90, epochs=3)[1]


def test_rows_are_the_files_rows_in_order(folder: Path) -> None:
    reader = PackReader(folder)
    assert len(reader.packs_per_epoch) == 3
    assert sum(reader.packs_per_epoch) == len(reader)
    assert reader.pack_length == 90
    row = 0
    for epoch in range(3):
        table = pa.ipc.open_file(folder / f"epoch-00{epoch}.arrow").read_all().to_pylist()
        for expected in table:
            pack = reader[row]
            assert pack.input_ids.tolist() == expected["input_ids"]
            assert pack.loss_mask.tolist() == expected["loss_mask"]
            assert pack.document_lengths.tolist() == expected["document_lengths"]
            row += 1
    assert row == len(reader)


def test_types_and_no_copies(folder: Path) -> None:
    pack = PackReader(folder)[3]
    assert (pack.input_ids.dtype, pack.loss_mask.dtype, pack.document_lengths.dtype) == (np.int32, np.bool_, np.int32)
    assert not pack.input_ids.flags.owndata
    assert not pack.input_ids.flags.writeable


def test_many_small_batches_read_like_one_large(
    experiment: Experiment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are found across record batches, the last of which is short."""
    monkeypatch.setattr(writer, "TOKENS_PER_BATCH", 4 * 90)
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
    whole = (folder / "epoch-000.arrow").read_bytes()
    (tmp_path / "epoch-000.arrow").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackError, match=r"epoch-000\.arrow: no pack file"):
        PackReader(tmp_path)
    (tmp_path / "epoch-000.arrow").write_bytes(whole)
    with pytest.raises(PackError, match=r"heldout\.arrow: missing"):
        PackReader(tmp_path).heldout()

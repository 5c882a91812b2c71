"""Stored samples: resume and damage."""

import pyarrow as pa
import pytest

from tests.artefacts.damage import DAMAGES, damage, files_in
from unix_lib.artefacts.sealed import seal
from unix_lib.generate.store import SampleStore

SCHEMA = pa.schema([pa.field("number", pa.int64(), nullable=False)])


class Killed(Exception):
    pass


def doubled(calls, die_after=None):
    def compute(batch):
        if die_after is not None and len(calls) == die_after:
            raise Killed
        calls.append(list(batch))
        return [{"number": 2 * number} for number in batch]

    return compute


def store(tmp_path):
    return SampleStore(tmp_path / "run-step-00001-pope-x", SCHEMA)


def test_a_killed_job_goes_on_where_it_stopped(tmp_path):
    calls = []
    with pytest.raises(Killed):
        store(tmp_path).fill(range(10), doubled(calls, die_after=2), batch_size=3, name="b")
    assert calls == [[0, 1, 2], [3, 4, 5]]
    rows = store(tmp_path).fill(range(10), doubled(calls), batch_size=3, name="b")
    assert calls[2:] == [[6, 7, 8], [9]]
    assert rows["number"].to_pylist() == list(range(0, 20, 2))


def test_a_finished_benchmark_is_not_computed_again(tmp_path):
    store(tmp_path).fill(range(4), doubled([]), batch_size=4, name="b")
    calls = []
    rows = store(tmp_path).fill(range(4), doubled(calls), batch_size=1, name="b")
    assert (len(rows), calls) == (4, [])


def test_nothing_asked_gives_an_empty_table(tmp_path):
    rows = store(tmp_path).fill([], doubled([]), batch_size=4, name="b")
    assert rows.num_rows == 0
    assert rows.schema.equals(SCHEMA)


@pytest.mark.parametrize("file", [0, 1])
@pytest.mark.parametrize("how", [*DAMAGES, "another schema"])
def test_a_damaged_part_and_all_after_it_are_computed_again(tmp_path, how, file, caplog):
    first = store(tmp_path)
    first.fill(range(9), doubled([]), batch_size=3, name="b")
    parts = sorted(first.folder.iterdir())
    if how == "another schema":
        pa.parquet.write_table(pa.table({"other": [1, 2, 3]}), parts[1] / "rows.parquet")
        seal(parts[1])
    else:
        damage(files_in(parts[1])[file], how)
    calls = []
    with caplog.at_level("WARNING"):
        rows = store(tmp_path).fill(range(9), doubled(calls), batch_size=3, name="b")
    assert "is damaged or out of order; its samples are computed again" in caplog.text
    assert calls == [[3, 4, 5], [6, 7, 8]]
    assert rows["number"].to_pylist() == list(range(0, 18, 2))


def test_what_a_kill_leaves_of_a_file_being_written_is_ignored(tmp_path):
    first = store(tmp_path)
    first.fill(range(3), doubled([]), batch_size=3, name="b")
    (first.folder / ".part-00000003-00000006").mkdir()
    (first.folder / ".part-00000003-00000006" / "rows.parquet").write_bytes(b"half")
    assert store(tmp_path).done == 3
    rows = store(tmp_path).fill(range(6), doubled([]), batch_size=3, name="b")
    assert rows["number"].to_pylist() == list(range(0, 12, 2))


def test_a_part_of_an_earlier_version_is_named_and_computed_again(tmp_path, caplog):
    folder = store(tmp_path).folder
    folder.mkdir()
    pa.parquet.write_table(pa.table({"number": [0, 2, 4]}, SCHEMA), folder / "part-00000000-00000003.parquet")
    assert store(tmp_path).done == 0
    assert "part-00000000-00000003.parquet: no hashes.json" in caplog.text

"""Stored samples: resume, identity, and damage."""

import pyarrow as pa
import pytest

from unix_lib.evaluate.store import SampleStore

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


def store(tmp_path, identity="a", checkpoint="run-step-00001-x"):
    return SampleStore(tmp_path, checkpoint, {"settings": identity}, SCHEMA)


def test_a_killed_job_goes_on_where_it_stopped(tmp_path):
    calls = []
    with pytest.raises(Killed):
        store(tmp_path).fill(range(10), doubled(calls, die_after=2), batch_size=3, name="b")
    assert calls == [[0, 1, 2], [3, 4, 5]]
    rows = store(tmp_path).fill(range(10), doubled(calls), batch_size=3, name="b")
    assert calls[2:] == [[6, 7, 8], [9]]
    assert [row["number"] for row in rows] == list(range(0, 20, 2))


def test_a_finished_benchmark_is_not_computed_again(tmp_path):
    store(tmp_path).fill(range(4), doubled([]), batch_size=4, name="b")
    calls = []
    rows = store(tmp_path).fill(range(4), doubled(calls), batch_size=1, name="b")
    assert (len(rows), calls) == (4, [])


def test_other_settings_or_another_checkpoint_start_anew(tmp_path):
    store(tmp_path).fill(range(4), doubled([]), batch_size=4, name="b")
    assert store(tmp_path, identity="b").done == 0
    assert store(tmp_path, checkpoint="run-step-00002-y").done == 0
    assert store(tmp_path).done == 4


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "another schema"])
def test_a_damaged_part_and_all_after_it_are_computed_again(tmp_path, damage):
    first = store(tmp_path)
    first.fill(range(9), doubled([]), batch_size=3, name="b")
    parts = sorted(first.folder.iterdir())
    data = bytearray(parts[1].read_bytes())
    if damage == "truncated":
        parts[1].write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[20] ^= 0xFF  # inside the first page's values
        parts[1].write_bytes(data)
    elif damage == "missing":
        parts[1].unlink()
    else:
        pa.parquet.write_table(pa.table({"other": [1, 2, 3]}), parts[1])
    calls = []
    rows = store(tmp_path).fill(range(9), doubled(calls), batch_size=3, name="b")
    assert calls == [[3, 4, 5], [6, 7, 8]]
    assert [row["number"] for row in rows] == list(range(0, 18, 2))


def test_what_a_kill_leaves_of_a_file_being_written_is_ignored(tmp_path):
    first = store(tmp_path)
    first.fill(range(3), doubled([]), batch_size=3, name="b")
    (first.folder / ".part-00000003-00000006.parquet.abc.part").write_bytes(b"half")
    assert store(tmp_path).done == 3

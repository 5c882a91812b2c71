"""Shards hold what was written, in order, whole or not at all."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CODES, IMAGE, RECORD, REJECTED
from unix_lib.records.shards import (
    RecordsError,
    ShardWriter,
    count_rows,
    iterate_batches,
    iterate_rows,
    read_split,
    shard_paths,
)


def row(index, **more):
    return {"sample_id": f"s{index}", "kind": "text", "text": f"text {index}", "source": "prose"} | more


def image(index):
    return {"image_id": f"i{index}", "image": bytes(1000), "width": 32, "height": 32}


def test_rows_come_back_in_order_with_nulls_for_absent_fields(tmp_path):
    with ShardWriter(tmp_path, "train", RECORD) as writer:
        for index in range(5000):
            writer.write(row(index))
    assert writer.files == {"train-00000.parquet": 5000}
    assert writer.rows == 5000
    table = read_split(tmp_path, "train")
    assert table.schema.equals(RECORD)
    assert table["sample_id"].to_pylist() == [f"s{i}" for i in range(5000)]
    assert set(table["image_ids"].to_pylist()) == {None}
    assert next(iterate_rows(tmp_path, "train", ["text", "messages"])) == {"text": "text 0", "messages": None}
    assert sum(batch.num_rows for batch in iterate_batches(tmp_path, "train", batch_rows=999)) == 5000


def test_what_no_column_holds_is_refused_and_not_lost(tmp_path):
    message = "a row of train: no column is called caption, image; there are sample_id"
    with pytest.raises(RecordsError, match=message), ShardWriter(tmp_path, "train", RECORD) as writer:
        writer.write(row(0, caption="a cat", image=b""))
    assert not list(tmp_path.glob("*"))


def test_a_full_shard_is_followed_by_another(tmp_path):
    with ShardWriter(tmp_path, "train", IMAGE, shard_bytes=40_000) as writer:
        for start in range(0, 300, 100):
            images = [image(i) for i in range(start, start + 100)]
            writer.write_table(pa.Table.from_pylist(images, schema=IMAGE))
    assert writer.files == {f"train-0000{i}.parquet": 100 for i in range(3)}
    assert [path.name for path in shard_paths(tmp_path, "train")] == list(writer.files)
    assert count_rows(tmp_path, "train") == 300
    assert [r["image_id"] for r in iterate_rows(tmp_path, "train")] == [f"i{i}" for i in range(300)]


def test_rows_and_tables_keep_their_order_when_mixed(tmp_path):
    with ShardWriter(tmp_path, "heldout", RECORD) as writer:
        writer.write(row(0))
        writer.write_table(pa.Table.from_pylist([row(1), row(2)], schema=RECORD))
        writer.write(row(3))
    assert [r["sample_id"] for r in iterate_rows(tmp_path, "heldout")] == ["s0", "s1", "s2", "s3"]


def test_codes_are_integers_of_16_bits(tmp_path):
    with ShardWriter(tmp_path, "train", CODES) as writer:
        writer.write({"image_id": "i0", "image_codes": [0, 65535]})
    column = read_split(tmp_path, "train")["image_codes"]
    assert column.type == pa.list_(pa.uint16())
    assert column.to_pylist() == [[0, 65535]]


def test_an_empty_split_is_a_file_without_rows(tmp_path):
    with ShardWriter(tmp_path, "heldout", RECORD) as writer:
        pass
    assert writer.files == {"heldout-00000.parquet": 0}
    assert read_split(tmp_path, "heldout").num_rows == 0


def test_a_failure_leaves_no_shard_and_no_part_of_one(tmp_path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path, "train", RECORD) as writer:
        writer.write_table(pa.Table.from_pylist([row(0)], schema=RECORD))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_shards_of_a_killed_attempt_are_removed(tmp_path):
    (tmp_path / "train-00007.parquet").write_bytes(b"old")
    (tmp_path / "heldout-00000.parquet").write_bytes(b"another split's")
    with ShardWriter(tmp_path, "train", RECORD) as writer:
        writer.write(row(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heldout-00000.parquet", "train-00000.parquet"]


def test_a_code_that_needs_more_than_16_bits_is_refused(tmp_path):
    with pytest.raises(pa.ArrowInvalid), ShardWriter(tmp_path, "train", CODES) as writer:
        writer.write({"image_id": "i0", "image_codes": [70000]})


def test_missing_shards_are_named_with_a_remedy(tmp_path):
    with pytest.raises(RecordsError, match=r"no train-\*\.parquet; delete"):
        read_split(tmp_path, "train")


def test_rejected_samples_are_counted_and_written(tmp_path):
    rejected = RejectedSamples()
    rejected.add("a", "rows.csv:2", "corrupt image", "x" * 10_000)
    rejected.add("b", "rows.csv:3", "aspect ratio")
    rejected.add("c", "rows.csv:4", "corrupt image")
    assert rejected.counts == {"aspect ratio": 1, "corrupt image": 2}
    assert len(rejected) == 3
    assert rejected.write(tmp_path) == {"rejected.parquet": 3}
    table = pq.read_table(tmp_path / "rejected.parquet")
    assert table.schema.equals(REJECTED)
    assert table["sample_id"].to_pylist() == ["a", "b", "c"]
    assert len(table["detail"][0].as_py()) == 500


def test_the_table_of_rejected_samples_is_written_when_there_are_none(tmp_path):
    assert RejectedSamples().write(tmp_path) == {"rejected.parquet": 0}
    assert pq.read_table(tmp_path / "rejected.parquet").schema.equals(REJECTED)


def test_what_utf8_can_not_hold_is_escaped(tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    rejected = RejectedSamples()
    rejected.add(name, name, "not UTF-8", "half a pair: \ud83d")
    rejected.write(tmp_path)
    (row_written,) = pq.read_table(tmp_path / "rejected.parquet").to_pylist()
    assert row_written["sample_id"] == row_written["origin"] == "caf\\udce9.txt"
    assert row_written["detail"] == "half a pair: \\ud83d"
    with ShardWriter(tmp_path, "train", RECORD) as writer:
        writer.write(row(0, sample_id=f"{name}#0"))
        writer.write(row(1, sample_id="caf\u00e9.txt#0"))
    assert read_split(tmp_path, "train")["sample_id"].to_pylist() == ["caf\\udce9.txt#0", "caf\u00e9.txt#0"]

"""What was set aside is written whole, however much it is, and as if it had never left memory."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unix_lib.records import rejected
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import REJECTED


def rows(count: int) -> list[dict[str, str | None]]:
    return [
        {"sample_id": f"a:{n}", "origin": "a", "reason": f"reason {n % 3}", "detail": f"no {n}" if n % 2 else None}
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 30, 64, 70])
def test_samples_come_back_in_order_whether_they_were_in_memory_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(rejected, "ROWS_AS_OBJECTS", 8)
    monkeypatch.setattr(rejected, "BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(rejected, "ROW_GROUP_ROWS", 32)
    samples, again = RejectedSamples(), RejectedSamples()
    for row in rows(count):
        samples.add(*map(str, (row["sample_id"], row["origin"], row["reason"])), row["detail"])
        assert len(list(samples.rows)) == len(samples)  # reading them disturbs nothing
    again.extend(samples)
    for each in (samples, again):
        assert list(each.rows) == rows(count) and len(each) == sum(each.counts.values()) == count
        assert each.first == ("a: reason 0" if count else None)
    assert samples.write(tmp_path) == {REJECTED_FILE: count}
    pq.write_table(
        pa.Table.from_pylist(rows(count), schema=REJECTED), tmp_path / "plain", compression="zstd", row_group_size=32
    )
    assert (tmp_path / REJECTED_FILE).read_bytes() == (tmp_path / "plain").read_bytes()

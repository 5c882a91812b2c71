"""Tables of every form give the same rows; what is damaged spoils itself and no other row."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.records.mutations import damaged
from unix_lib.artefacts.errors import UserError
from unix_lib.records.tables import BREAKS_OFF, TableError, read_table

ROWS = [{"text": f"Zeile {number}, é 日", "note": str(number)} for number in range(300)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
NAMES = [
    *("a.jsonl", "a.json", "array.json", "a.ndjson", "a.csv", "a.tsv"),
    *("a.jsonl.gz", "array.json.gz", "a.csv.gz", "a.tsv.gz", "a.parquet"),
]


def bytes_of(name: str, folder: Path) -> bytes:
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), folder / "written", row_group_size=50)
        return (folder / "written").read_bytes()
    mark = "\t" if ".tsv" in name else ","
    data = LINES
    if "array" in name:
        data = json.dumps(ROWS, ensure_ascii=False, indent=1).encode()
    if ".csv" in name or ".tsv" in name:
        data = "".join([f"text{mark}note\n", *(f'"{row["text"]}"{mark}{row["note"]}\n' for row in ROWS)]).encode()
    return gzip.compress(data) if name.endswith(".gz") else data


@pytest.mark.parametrize("name", NAMES)
def test_every_form_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(bytes_of(name, tmp_path))
    rows = list(read_table(path, ["text"], optional=["note", "absent"]))
    assert [row.values for row in rows] == ROWS and not any(row.fault for row in rows)
    assert len({row.number for row in rows}) == len(ROWS)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_a_column_that_is_missing_is_named_with_those_there(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes_of(name, tmp_path))
    with pytest.raises(TableError, match=r"it has no column 'texts'; its columns are text, note"):
        list(read_table(tmp_path / name, ["texts"]))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "array.json", "array.json.gz"])
def test_rows_before_a_break_count(name: str, tmp_path: Path) -> None:
    whole = bytes_of(name, tmp_path)
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    *rows, last = read_table(tmp_path / name, ["text"])
    assert last.fault == BREAKS_OFF and [row.values["text"] for row in rows if not row.fault]
    good = [row.values["text"] for row in rows if not row.fault]
    assert good == [row["text"] for row in ROWS[: len(good)]] and len(good) < len(ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_done_to_a_file_no_row_is_made_up(name: str, tmp_path: Path) -> None:
    whole, path, texts = bytes_of(name, tmp_path), tmp_path / name, {row["text"] for row in ROWS}
    changed = untouched = 0
    for number in range(60):
        rng = random.Random(f"{name}/{number}")
        data = damaged(whole, f"{name}/{number}") if number % 6 else rng.randbytes(rng.randint(0, 5000))
        changed += data != whole
        path.write_bytes(data)
        try:
            rows = list(read_table(path, ["text"]))
        except UserError as error:
            assert "\n" not in str(error)
            continue
        untouched += sum(row.fault is None and row.values["text"] in texts for row in rows)
    assert changed > 50 and untouched > 0

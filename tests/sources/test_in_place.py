"""Sources whose samples lie in files of rows: a row becomes records or is set aside, images are read where they are."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.encode.making import encoded
from tests.records.mutations import damaged
from tests.sources.making import Made, make, source_jobs
from tests.sources.row_files import LAYOUTS, config_of, picture
from unix_lib.artefacts.errors import UserError
from unix_lib.images.files import square_rgb
from unix_lib.records.shards import ShardWriter, read_split
from unix_lib.sources.errors import SourceError
from unix_lib.sources.in_place.images import PLACE, PLACES, ImagesOfRows, image_id
from unix_lib.sources.in_place.reading import Images

ROWS = 24
EVERY = sorted(LAYOUTS)


def records_of(made: dict[str, Made]) -> list[dict[str, Any]]:
    return [row for split in ("train", "heldout") for row in read_split(made["records"].folder, split).to_pylist()]


def accounted(made: dict[str, Made]) -> bool:
    """Whether each row of the files became a record, was set aside or was left out; one row a record here."""
    manifest = made["records"].manifest
    facts = manifest.facts
    kept = facts["train_records"] + facts["heldout_records"]
    return bool(facts["rows_read"] == kept + sum(manifest.rejected.values()) + facts["rows_left_out"])


@pytest.mark.parametrize("name", EVERY)
def test_every_row_becomes_a_record_that_shows_its_image(name: str, tmp_path: Path) -> None:
    made = make(tmp_path / "results", "mine", held_out=0.3, **config_of(name, tmp_path, ROWS))
    records = records_of(made)
    assert len(records) == ROWS and accounted(made)
    assert len({record["sample_id"] for record in records}) == ROWS
    assert [record["image_ids"] is not None for record in sorted(records, key=_row)] == [
        LAYOUTS[name].rows_with_image(index) for index in range(ROWS)
    ]
    assert str(tmp_path) not in "".join(record["sample_id"] for record in records)
    # An image is on the side that its records are on.
    places = read_split(made["images"].folder, PLACES).to_pylist()
    side = {place["image_id"]: place["split"] for place in places}
    for split in ("train", "heldout"):
        shown = {
            name for row in read_split(made["records"].folder, split).to_pylist() for name in row["image_ids"] or []
        }
        assert all(side[image] == split for image in shown)


def _row(record: dict[str, Any]) -> int:
    return int(record["sample_id"].rpartition(":")[2].partition("#")[0])


@pytest.mark.parametrize("name", [name for name in EVERY if name != "published"])
def test_images_are_read_where_they_lie(name: str, tmp_path: Path) -> None:
    made = make(tmp_path / "results", "mine", held_out=0.3, **config_of(name, tmp_path, ROWS))
    images = Images(made["images"].folder, 8)
    found = {
        image: rgb
        for chunk in images.chunks(5)
        for image, rgb in zip(chunk.ids, images.decoded(chunk.read_all()), strict=True)
    }
    expected = {image_id(picture(index)): square_rgb(io.BytesIO(picture(index)), 8) for index in range(ROWS)}
    assert images.count() == ROWS and found.keys() == expected.keys()
    for image, rgb in expected.items():
        np.testing.assert_array_equal(found[image], rgb.transpose(2, 0, 1))
    stored = sum(path.stat().st_size for path in made["images"].folder.rglob("*.parquet"))
    assert stored < 16_000  # no copy of the pictures, which are of noise


@pytest.mark.parametrize("name", EVERY)
def test_codes_of_all_layouts(name: str, tmp_path: Path) -> None:
    made = make(tmp_path / "results", "mine", held_out=0.3, **config_of(name, tmp_path, ROWS))
    job, manifest = encoded(tmp_path / "results", made["images"])
    with_image = sum(map(LAYOUTS[name].rows_with_image, range(ROWS)))
    assert manifest.rejected == {} and manifest.facts["images"] == with_image
    for split in ("train", "heldout"):
        shown = {
            name for row in read_split(made["records"].folder, split).to_pylist() for name in row["image_ids"] or []
        }
        assert shown == set(read_split(job.folder, split)["image_id"].to_pylist())


def test_codes_that_came_with_rows_are_taken_as_they_are(tmp_path: Path) -> None:
    made = make(tmp_path / "results", "mine", held_out=0.3, **config_of("published", tmp_path, ROWS))
    job, _ = encoded(tmp_path / "results", made["images"])
    codes = {
        row["image_id"]: row["image_codes"]
        for split in ("train", "heldout")
        for row in read_split(job.folder, split).to_pylist()
    }
    given = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text().splitlines()]
    for record in records_of(made):
        if record["image_ids"]:
            assert codes[record["image_ids"][0]] == json.loads(given[_row(record) - 1]["vqcode_512"])


def test_codes_of_another_tokenizer_are_set_aside(tmp_path: Path) -> None:
    settings = config_of("published", tmp_path, 3)
    bad = [[1] * 15, [16] + [0] * 15, "[1, 2", [1.5] * 16, [-1] * 16, {"a": 1}]
    lines = [{"data_type": "t2i", "text": "a caption", "vqcode_512": codes} for codes in bad]
    with open(tmp_path / "data.jsonl", "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    made = make(tmp_path / "results", "mine", held_out=0.01, **settings)
    assert made["images"].manifest.rejected == {"unusable codes": 4} and accounted(made)
    _, manifest = encoded(tmp_path / "results", made["images"])
    assert manifest.rejected == {"code_out_of_range": 1, "wrong_code_count": 1}


def test_a_picture_that_changed_after_it_was_indexed_is_an_error(tmp_path: Path) -> None:
    made = make(tmp_path / "results", "mine", **config_of("finevision", tmp_path, ROWS))
    table = pq.read_table(tmp_path / LAYOUTS["finevision"].file).to_pylist()
    table[5]["images"][0]["bytes"] = picture(99)
    pq.write_table(pa.Table.from_pylist(table), tmp_path / LAYOUTS["finevision"].file)
    with pytest.raises(SourceError, match=r"train-00000-of-00001.parquet, row 6: .* run again"):
        encoded(tmp_path / "results", made["images"])


def test_rows_are_filtered_drawn_and_limited(tmp_path: Path) -> None:
    settings = config_of("finevision", tmp_path, 200)
    made = make(tmp_path / "filtered", "mine", **settings, filter=[["relevance_min", ">=", 3]])
    assert {_row(record) % 5 for record in records_of(made)} == {4, 0} and accounted(made)  # rows count from 1
    assert made["images"].manifest.facts["places"] == 80
    made = make(tmp_path / "drawn", "mine", **settings, fraction=0.25)
    assert 30 < len(records_of(made)) < 70 and accounted(made)
    made = make(tmp_path / "limited", "mine", **settings, limit=11)
    assert sorted(map(_row, records_of(made))) == list(range(1, 12))
    assert made["images"].manifest.facts["places"] == 11


def test_a_row_of_several_images_is_held_out_whole(tmp_path: Path) -> None:
    rows = [
        {
            "images": [{"bytes": picture(index), "path": None}, {"bytes": picture(index + 1), "path": None}],
            "texts": [{"user": "Alike?", "assistant": f"No, {index}."}],
        }
        for index in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    made = make(tmp_path / "results", "mine", held_out=0.2, kind="finevision", files=[str(tmp_path / "a.parquet")])
    for record in records_of(made):
        index = _row(record) - 1
        assert record["image_ids"] == [image_id(picture(index)), image_id(picture(index + 1))]
    job, _ = encoded(tmp_path / "results", made["images"])
    for split in ("train", "heldout"):
        shown = {name for row in read_split(made["records"].folder, split).to_pylist() for name in row["image_ids"]}
        assert shown and shown == set(read_split(job.folder, split)["image_id"].to_pylist())


BAD_CELLS: list[tuple[Any, str]] = [
    ({"bytes": b"", "path": None}, "corrupt image"),
    ({"bytes": None, "path": "a.jpg"}, "image without bytes"),
    ({"bytes": picture(0)[:40], "path": None}, "truncated image"),
    ({"bytes": b"GIF89a", "path": None}, "truncated image"),
    ({"bytes": b"%PDF-1.4 ...", "path": None}, "unsupported image"),
]


def test_bad_images_set_their_rows_aside(tmp_path: Path) -> None:
    texts = [{"user": "What?", "assistant": "This."}]
    rows = [{"images": [cell], "texts": texts} for cell, _ in BAD_CELLS]
    wide = io.BytesIO()
    Image.new("RGB", (300, 20)).save(wide, format="PNG")
    rows += [{"images": [{"bytes": data, "path": None}], "texts": texts} for data in (wide.getvalue(), picture(1))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    made = make(tmp_path / "results", "mine", kind="finevision", files=[str(tmp_path / "a.parquet")])
    assert made["images"].manifest.rejected == Counter([*(reason for _, reason in BAD_CELLS), "aspect ratio"])
    assert made["records"].manifest.rejected == {"image set aside": len(rows) - 1} and accounted(made)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (None, "turns that can't be read"),
        ([], "turns that can't be read"),
        ([{"user": "What?", "assistant": None}], "turns that can't be read"),
        ([{"user": "", "assistant": "This."}], "empty turn"),
        ([{"user": "a\0b", "assistant": "This."}], "not plain text"),
    ],
)
def test_bad_turns_set_their_rows_aside(texts: Any, reason: str, tmp_path: Path) -> None:
    rows = [
        {"images": [{"bytes": picture(0), "path": None}], "texts": turns}
        for turns in (texts, [{"user": "What?", "assistant": "This."}])
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    made = make(tmp_path / "results", "mine", kind="finevision", files=[str(tmp_path / "a.parquet")])
    assert made["records"].manifest.rejected == {reason: 1} and accounted(made)


def test_captions_are_the_longest_a_random_one_or_all(tmp_path: Path) -> None:
    settings = config_of("pairs.tsv", tmp_path, ROWS)
    longest = records_of(make(tmp_path / "longest", "mine", **settings))
    assert all(record["text"].startswith("a longer") for record in longest)
    every = records_of(make(tmp_path / "all", "mine", captions="all", **settings))
    assert len(every) == 2 * ROWS == len({record["sample_id"] for record in every})
    drawn = [record["text"] for record in records_of(make(tmp_path / "random", "mine", captions="random", **settings))]
    assert 4 < sum(text.startswith("a longer") for text in drawn) < ROWS - 4
    assert drawn == [row["text"] for row in records_of(make(tmp_path / "again", "mine", captions="random", **settings))]


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    settings = config_of("pairs.parquet", tmp_path, 3) | {"caption_column": "caption"}
    jobs = source_jobs(tmp_path / "results", "mine", **settings)
    jobs["images"].make()
    with pytest.raises(SourceError, match="no column 'caption'; its columns are picture, text"):
        jobs["records"].make()


def test_a_file_without_its_column_of_images_gives_no_record(tmp_path: Path) -> None:
    settings = config_of("finevision", tmp_path, ROWS)
    table = pq.read_table(tmp_path / LAYOUTS["finevision"].file)
    pq.write_table(table.rename_columns(["pictures", *table.column_names[1:]]), tmp_path / "other.parquet")
    assert table.column_names[0] == "images"
    made = make(tmp_path / "results", "mine", **settings | {"files": [str(tmp_path / "*.parquet")]})
    assert len(records_of(made)) == ROWS and all(record["image_ids"] for record in records_of(made))
    assert made["records"].manifest.rejected == {"image set aside": ROWS} and accounted(made)


def test_a_file_that_breaks_off_counts_up_to_there(tmp_path: Path) -> None:
    for name in ("webdataset", "llava"):
        settings = config_of(name, tmp_path, ROWS)
        path = tmp_path / LAYOUTS[name].file
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        made = make(tmp_path / name, "mine", **settings)
        assert 5 < len(records_of(made)) < ROWS and accounted(made)
        assert sum(made["records"].manifest.rejected.values()) == 1


@pytest.mark.parametrize("name", ["finevision", "pairs.parquet", "webdataset", "llava"])
def test_damaged_files_are_read_as_far_as_they_go(name: str, tmp_path: Path) -> None:
    settings = config_of(name, tmp_path, ROWS)
    path = tmp_path / LAYOUTS[name].file
    whole = path.read_bytes()
    read = refused = 0
    for attempt in range(15):
        path.write_bytes(damaged(whole, f"{name}/{attempt}"))
        assert path.read_bytes() != whole
        try:
            made = make(tmp_path / f"results-{attempt}", "mine", **settings)
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert accounted(made)
            read += 1
    assert read + refused == 15 and read > 0


def test_rows_get_their_own_images_whatever_rows_are_left_out(tmp_path: Path) -> None:
    places = [("z", 1, "i"), ("z", 2, "j"), ("z", 2, "k"), ("a", 1, "l"), ("a", 7, "m"), ("b", 3, "n")]
    with ShardWriter(tmp_path, PLACES, PLACE) as writer:
        for file, row, name in places:
            where = {"file": file, "row": row, "image_id": name, "item": 0, "split": "train"}
            writer.write(where | {"first": True, "given": False})
    shown = ImagesOfRows([tmp_path], ["z", "empty", "a", "b"])
    asked = [("z", 2), ("z", 3), ("empty", 1), ("a", 1), ("a", 2), ("b", 3), ("b", 4)]  # neither z:1 nor a:7
    found = [shown.of(file, row)[1] for file, row in asked]
    assert found == [["j", "k"], [], [], ["l"], [], ["n"], []]

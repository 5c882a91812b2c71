"""The `image_folder` source: good images prepared as the paper's were, every bad sample set aside with its reason."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.images.pictures import noise, png_that_claims
from tests.sources.making import make, source_jobs
from unix_lib.artefacts.errors import UserError
from unix_lib.config.experiment import Experiment
from unix_lib.config.sources import HeldOut
from unix_lib.images.files import image_id
from unix_lib.jobs.job import Job
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import execution_path, write_plan
from unix_lib.records.schema import IMAGE, RECORD
from unix_lib.records.shards import read_split
from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder import decoding


def write_captions(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def good_folder(tmp_path, count=8):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(count):
        noise(40, 30, index).save(folder / f"{index}.png")
    return folder, [{"image": f"{index}.png", "caption": f"caption {index}"} for index in range(count)]


def settings_of(folder, captions, **more):
    named = {} if captions is None else {"captions": str(captions)}
    return {"kind": "image_folder", "folder": str(folder), "image_size": 16} | named | more


def make_folder(tmp_path, folder, captions, **more):
    return make(tmp_path / "results", "mine", **settings_of(folder, captions, **more))


def rejected_rows(made):
    """What each job set aside, by what it makes and by sample."""
    return {
        what: {row["sample_id"]: row for row in pq.read_table(job.folder / "rejected.parquet").to_pylist()}
        for what, job in made.items()
    }


def rejected_counts(made):
    return {what: job.manifest.rejected for what, job in made.items()}


def all_rows(made, what="records"):
    return [row for split in ("train", "heldout") for row in read_split(made[what].folder, split).to_pylist()]


def test_good_images_become_records(tmp_path):
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", rows)
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl", held_out=0.25)
    assert rejected_counts(made) == {"images": {}, "records": {}}
    facts = made["images"].manifest.facts
    assert facts["train_images"] + facts["heldout_images"] == 8 and min(facts.values()) > 0
    assert made["records"].manifest.facts == {
        f"{split}_records": facts[f"{split}_images"] for split in ("train", "heldout")
    }
    rule = HeldOut(share=0.25)
    names = pq.read_table(made["images"].folder / "names.parquet").to_pylist()
    assert [row["name"] for row in names] == [row["image"] for row in rows]
    for split in ("train", "heldout"):
        images, records = (read_split(made[what].folder, split) for what in ("images", "records"))
        assert images.schema.equals(IMAGE) and records.schema.equals(RECORD)
        assert [[name] for name in images["image_id"].to_pylist()] == records["image_ids"].to_pylist()
        assert all(rule.holds_out(name) == (split == "heldout") for name in images["image_id"].to_pylist())
        assert images["image_id"].to_pylist() == [row["image_id"] for row in names if row["split"] == split]
    for row in all_rows(made):
        assert row["text"] == f"caption {row['sample_id'].removesuffix('.png')}"
        assert (row["kind"], row["source"]) == ("image_text", "mine")
    for row in all_rows(made, "images"):
        image = Image.open(io.BytesIO(row["image"]))
        assert (image.mode, image.size, image.format) == ("RGB", (16, 16), "PNG")
        assert (row["width"], row["height"], row["image_id"]) == (16, 16, image_id(np.asarray(image)))


def test_every_kind_of_bad_sample_is_set_aside_with_its_reason(tmp_path):
    folder, rows = good_folder(tmp_path)
    whole = (folder / "0.png").read_bytes()
    (folder / "corrupt.png").write_bytes(b"not an image at all")
    (folder / "empty.jpg").write_bytes(b"")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    (folder / "flipped.png").write_bytes(bytes(flipped))
    noise(400, 300).save(folder / "big.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "big.jpg").read_bytes()[:20_000])
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "big.jpg").unlink()
    (folder / "bomb.png").write_bytes(png_that_claims(60_000, 60_000))
    (folder / "large.png").write_bytes(png_that_claims(9_000, 9_000))
    noise(100, 30).save(folder / "wide.png")
    noise(30, 100).save(folder / "tall.png")
    noise(20, 20).save(folder / "alone.png")
    noise(20, 20).save(folder / "blank.png")
    noise(20, 20).save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "notes.txt").write_text("no image")
    bad = ["corrupt.png", "empty.jpg", "flipped.png", "truncated.jpg", "truncated.png", "bomb.png", "large.png"]
    bad += ["wide.png", "tall.png", "absent.png", "../secret.png", str(tmp_path / "secret.png"), "link.png"]
    rows += [{"image": name, "caption": "words"} for name in bad]
    rows += [{"image": "blank.png", "caption": "  "}, {"image": "x" * 5000, "caption": "words"}]
    write_captions(tmp_path / "captions.jsonl", rows)
    with open(tmp_path / "captions.jsonl", "ab") as file:
        file.write(b'{"image": "0.png", "caption": \n\n[1]\n{"image": "0.png"}\n{"image": "0.png", "caption": 3}\n')
        file.write(b'{"image": "0.png", "caption": "\xff\xfe"}\n{"image": "0\\u0000.png", "caption": "words"}\n')
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    rejected = rejected_rows(made)
    reasons = {name: row["reason"] for name, row in rejected["images"].items()}
    assert reasons["corrupt.png"] == reasons["empty.jpg"] == reasons["flipped.png"] == "corrupt image"
    assert reasons["truncated.jpg"] == reasons["truncated.png"] == "truncated image"
    assert reasons["bomb.png"] == reasons["large.png"] == "too many pixels"
    assert reasons["wide.png"] == reasons["tall.png"] == "aspect ratio"
    of_rows = {name: (row["reason"], row["detail"]) for name, row in rejected["records"].items()}
    for name, reason in reasons.items():
        assert of_rows[name] == ("image set aside", reason)
        assert rejected["images"][name]["origin"] == name
    reasons = {name: reason for name, (reason, _) in of_rows.items()}
    assert reasons["absent.png"] == reasons["link.png"] == reasons["x" * 5000] == "caption without image"
    assert reasons["../secret.png"] == reasons[str(tmp_path / "secret.png")] == "path outside the folder"
    assert reasons["alone.png"] == "image without caption"
    assert reasons["blank.png"] == "empty caption"
    assert rejected_counts(made) == {
        "images": {"aspect ratio": 2, "corrupt image": 3, "too many pixels": 2, "truncated image": 2},
        "records": {
            "caption without image": 3,
            "empty caption": 1,
            "image set aside": 9,
            "image without caption": 1,
            "malformed row": 6,
            "path outside the folder": 2,
        },
    }
    assert {row["sample_id"] for row in all_rows(made)} == {f"{index}.png" for index in range(8)}
    assert len(all_rows(made, "images")) == 8
    assert rejected["records"]["wide.png"]["origin"] == "captions.jsonl:16"
    lines = len((tmp_path / "captions.jsonl").read_bytes().splitlines())  # one is blank, one image has none
    assert len(all_rows(made)) + sum(made["records"].manifest.rejected.values()) == lines


def test_the_limits_are_the_settings(tmp_path):
    folder, rows = good_folder(tmp_path)
    noise(60, 60).save(folder / "pixels.png")
    noise(60, 20).save(folder / "wide.png")
    rows += [{"image": name, "caption": "words"} for name in ("pixels.png", "wide.png")]
    write_captions(tmp_path / "captions.jsonl", rows)
    captions = tmp_path / "captions.jsonl"
    limits = ({}, {"max_aspect_ratio": 3}, {"max_aspect_ratio": 3, "max_pixels": 1500})
    counts = [rejected_counts(make_folder(tmp_path, folder, captions, **limit))["images"] for limit in limits]
    assert counts == [{"aspect ratio": 1}, {}, {"too many pixels": 1}]


def test_an_image_with_an_unusable_row_is_not_counted_twice(tmp_path):
    folder, rows = good_folder(tmp_path)
    rows[0]["caption"] = ""
    rows[1] = {"image": "1.png"}
    write_captions(tmp_path / "captions.jsonl", rows)
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    assert rejected_counts(made) == {"images": {}, "records": {"empty caption": 1, "malformed row": 1}}
    assert len(all_rows(made, "images")) == 6  # nothing would show the other two


def test_csv_captions(tmp_path):
    folder, rows = good_folder(tmp_path)
    captions = tmp_path / "captions.csv"
    with open(captions, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["caption", "image", "note"])
        writer.writerows(
            [[row["caption"] + ', with a comma and a "quote"\nand a line', row["image"], ""] for row in rows]
        )
        file.write("words, unquoted, comma,0.png,\n")
        file.write("only one field\n")
    made = make_folder(tmp_path, folder, captions)
    assert rejected_counts(made) == {"images": {}, "records": {"malformed row": 2}}
    rows = all_rows(made)
    assert len(rows) == 8
    assert all(row["text"].endswith(', with a comma and a "quote"\nand a line') for row in rows)


@pytest.mark.parametrize("name", ["captions.json", "captions.parquet", "captions.tsv", "captions.jsonl.gz"])
def test_captions_in_other_tables(tmp_path, name):
    folder, rows = good_folder(tmp_path)
    rows.append({"image": "0.png", "caption": " "})
    texts = "".join(json.dumps(row) + "\n" for row in rows)
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    elif name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(texts.encode()))
    elif name.endswith(".tsv"):
        lines = [["image", "caption"], *(row.values() for row in rows)]
        (tmp_path / name).write_text("".join("\t".join(line) + "\n" for line in lines))
    else:
        (tmp_path / name).write_text(json.dumps(rows))
    made = make_folder(tmp_path, folder, tmp_path / name)
    assert {row["sample_id"]: row["text"] for row in all_rows(made)} == {
        row["image"]: row["caption"] for row in rows[:-1]
    }
    [rejected] = rejected_rows(made)["records"].values()
    assert (rejected["reason"], rejected["origin"].partition(":")[0]) == ("empty caption", name)


def test_captions_in_files_beside_the_images(tmp_path):
    folder, rows = good_folder(tmp_path)
    (folder / "below").mkdir()
    noise(20, 20, 20).save(folder / "below" / "1.jpg")
    noise(20, 20, 21).save(folder / "below" / "1.png")
    noise(20, 20, 22).save(folder / "alone.png")
    for row in rows:
        (folder / row["image"]).with_suffix(".txt").write_text(f"{row['caption']}\n", encoding="utf-8-sig")
    (folder / "below" / "1.txt").write_text("eine\nBeschreibung", encoding="utf-8")
    (folder / "2.txt").write_text(" \n")
    (folder / "3.txt").write_bytes(b"caf\xe9")
    (folder / "4.txt").write_bytes(b"a\0b")
    (folder / "5.txt").write_bytes(b"long " * 300_000)
    (folder / "gone.txt").write_text("words")
    made = make(tmp_path / "results", "mine", **settings_of(folder, None))
    expected = {f"{index}.png": f"caption {index}" for index in (0, 1, 6, 7)}
    expected |= dict.fromkeys(["below/1.jpg", "below/1.png"], "eine\nBeschreibung")
    assert {row["sample_id"]: row["text"] for row in all_rows(made)} == expected
    rejected = {name: (row["reason"], row["origin"]) for name, row in rejected_rows(made)["records"].items()}
    assert rejected == {
        "2.png": ("empty caption", "2.txt:1"),
        **{f"{index}.png": ("malformed row", f"{index}.txt:1") for index in (3, 4, 5)},
        "gone": ("caption without image", "gone.txt:1"),
        "alone.png": ("image without caption", "alone.png"),
    }
    # A corrected caption makes the records anew, and no image.
    (folder / "2.txt").write_text("found words")
    again = make(tmp_path / "results", "mine", **settings_of(folder, None))
    assert again["images"].folder == made["images"].folder and again["records"].folder != made["records"].folder
    assert len(all_rows(again)) == len(expected) + 1


def test_images_without_captions_are_records_without_text(tmp_path):
    folder, _ = good_folder(tmp_path)
    (folder / "below").mkdir()
    (folder / "below/copy.png").write_bytes((folder / "0.png").read_bytes())
    (folder / "broken.jpg").write_bytes(b"not an image at all")
    (folder / "1.txt").write_text("a caption that is not asked for")
    made = make_folder(tmp_path, folder, None, captioned=False, held_out=0.25)
    assert sum(made["images"].manifest.rejected.values()) == 1
    assert made["records"].manifest.rejected == {"image set aside": 1}
    rows = all_rows(made)
    assert sorted(row["sample_id"] for row in rows) == sorted([*(f"{n}.png" for n in range(8)), "below/copy.png"])
    assert {(row["kind"], row["text"]) for row in rows} == {("image_text", None)}
    assert min(made["records"].manifest.facts.values()) > 0  # both splits
    assert {row["image_ids"][0] for row in rows} == {row["image_id"] for row in all_rows(made, "images")}


def test_captions_and_none_are_not_both_asked_for(tmp_path):
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", rows)
    with pytest.raises(ValidationError, match="asks for none; remove one"):
        make_folder(tmp_path, folder, tmp_path / "captions.jsonl", captioned=False)


def test_an_unclosed_quote_spoils_its_row_only(tmp_path):
    folder, rows = good_folder(tmp_path, 12)
    lines = [f"{row['image']},{row['caption']}" for row in rows]
    lines[1] = '1.png,"never closed'  # ... before the next row's quote
    lines[2] = '2.png,"caption 2"'
    lines[4] = '4.png,"closed by the quote at the end of the next row'
    lines[5] = '5.png,closes the quote above"'
    lines[7] = '7.png,"two\nlines, and 8.png beside it"'
    lines[10] = '10.png,"closed nowhere'
    (tmp_path / "captions.csv").write_text("image,caption\n" + "\n".join(lines) + "\n")
    made = make_folder(tmp_path, folder, tmp_path / "captions.csv")
    assert rejected_counts(made) == {"images": {}, "records": {"malformed row": 3}}
    rejected = rejected_rows(made)["records"]
    assert set(rejected) == {"1.png", "4.png", "10.png"}
    assert rejected["4.png"]["detail"] == "a quote that is not closed before line 7, which has its own image"
    assert [rejected[name]["origin"] for name in ("1.png", "10.png")] == ["captions.csv:3", "captions.csv:13"]
    texts = {row["sample_id"]: row["text"] for row in all_rows(made)}
    assert (texts["2.png"], texts["11.png"]) == ("caption 2", "caption 11")
    assert texts["7.png"] == "two\nlines, and 8.png beside it"


def test_what_is_not_unicode_is_set_aside(tmp_path):
    folder, rows = good_folder(tmp_path)
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes((folder / "0.png").read_bytes())
    write_captions(tmp_path / "captions.jsonl", rows)  # ASCII, so that half a surrogate pair is written as its escape
    with open(tmp_path / "captions.jsonl", "a") as file:
        file.write('{"image": "0.png", "caption": "\\ud83d red"}\n{"image": "\\ud83d.png", "caption": "red"}\n')
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    assert rejected_counts(made) == {"images": {}, "records": {"image without caption": 1, "malformed row": 2}}
    rejected = rejected_rows(made)["records"]
    assert set(rejected) == {"caf\\udce9.png", "0.png#2", "\\ud83d.png"}
    assert rejected["0.png#2"]["detail"] == "'caption' has half of a surrogate pair"
    assert len(all_rows(made)) == 8


def test_several_captions_of_an_image_and_copies_of_it_stay_in_one_split(tmp_path, monkeypatch):
    decoded = []
    read = decoding.square_rgb
    monkeypatch.setattr(decoding, "square_rgb", lambda path, size: decoded.append(path.name) or read(path, size))
    folder, rows = good_folder(tmp_path, 12)
    (folder / "sub").mkdir()
    for index in range(12):
        (folder / "sub" / f"copy-{index}.png").write_bytes((folder / f"{index}.png").read_bytes())
    rows += [{"image": f"{i}.png", "caption": "another"} for i in range(12)]
    rows += [{"image": f"sub/copy-{i}.png", "caption": "a copy"} for i in range(12)]
    write_captions(tmp_path / "captions.jsonl", rows)
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl", held_out=0.25)
    shown = [
        {name for [name] in read_split(made["records"].folder, split)["image_ids"].to_pylist()}
        for split in ("train", "heldout")
    ]
    images = [read_split(made["images"].folder, split)["image_id"].to_pylist() for split in ("train", "heldout")]
    assert sum(len(ids) for ids in images) == 12 and all(images)
    assert [set(ids) for ids in images] == shown
    assert sorted(decoded) == sorted(f"{index}.png" for index in range(12))  # each different file once
    ids = [row["sample_id"] for row in all_rows(made)]
    assert len(ids) == len(set(ids)) == 36


def test_making_it_twice_gives_the_same_content(tmp_path):
    folder, rows = good_folder(tmp_path)
    (folder / "bad.png").write_bytes(b"bad")
    write_captions(tmp_path / "captions.jsonl", [*rows, {"image": "bad.png", "caption": "words"}])
    first, again = (make_folder(tmp_path, folder, tmp_path / "captions.jsonl") for _ in range(2))
    for what in ("images", "records"):
        assert first[what].manifest.digest == again[what].manifest.digest


def test_what_each_job_depends_on(tmp_path):
    """A stray file changes nothing, another caption only the records, another name for the same file neither pixels."""
    folder, rows = good_folder(tmp_path)
    captions = tmp_path / "captions.jsonl"

    def artefacts():
        jobs = source_jobs(tmp_path / "results", "mine", **settings_of(folder, captions))
        return jobs["images"].recipe.artefact, jobs["records"].recipe.settings

    write_captions(captions, rows)
    images, records = artefacts()
    (folder / ".DS_Store").write_bytes(b"stray")
    noise(20, 20).save(folder / "stray.png")
    assert artefacts() == (images, records)
    rows[0]["caption"] = "corrected"
    rows[1]["image"] = f"../{folder.name}/./1.png"
    write_captions(captions, rows)
    assert artefacts()[0] == images
    assert artefacts()[1] != records
    made = make_folder(tmp_path, folder, captions)
    assert made["records"].manifest.rejected == {"image without caption": 1}
    noise(40, 30, 99).save(folder / "2.png")
    assert artefacts()[0] != images


def test_what_changed_after_the_plan_was_made_is_refused(tmp_path):
    folder, rows = good_folder(tmp_path)
    captions = tmp_path / "captions.jsonl"
    write_captions(captions, rows)
    jobs = source_jobs(tmp_path / "results", "mine", **settings_of(folder, captions))
    before = (folder / "3.png").read_bytes()
    noise(40, 30, 99).save(folder / "3.png")
    assert (folder / "3.png").read_bytes() != before
    with pytest.raises(
        UserError, match=r"^sources/mine-images-\w+: folder .* changed after the plan was made; run again"
    ):
        jobs["images"].make()
    (folder / "3.png").write_bytes(before)
    jobs["images"].make()
    write_captions(captions, [*rows, {"image": "0.png", "caption": "another"}])
    with pytest.raises(UserError, match=r"^sources/mine-\w+: captions .* changed after the plan was made; run again"):
        jobs["records"].make()


def test_what_shows_the_same_pixels_is_one_image(tmp_path):
    """Other files with the same pixels: one image of a split, two names."""
    folder, rows = good_folder(tmp_path, 12)
    for index in range(12):
        Image.open(folder / f"{index}.png").save(folder / f"{index}.bmp")
    rows += [{"image": f"{index}.bmp", "caption": "the same"} for index in range(12)]
    write_captions(tmp_path / "captions.jsonl", rows)
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl", held_out=0.25)
    names = pq.read_table(made["images"].folder / "names.parquet").to_pydict()
    assert len(names["name"]) == 24 and len(set(names["image_id"])) == 12
    images = [read_split(made["images"].folder, split)["image_id"].to_pylist() for split in ("train", "heldout")]
    assert sorted(images[0] + images[1]) == sorted(set(names["image_id"]))  # on one side, whatever the file
    assert len(all_rows(made)) == 24


def test_parts_make_together_what_one_job_makes(tmp_path):
    folder, rows = good_folder(tmp_path, 10)
    rows += [{"image": "0.png", "caption": "another"}]
    write_captions(tmp_path / "captions.jsonl", rows)
    settings = settings_of(folder, tmp_path / "captions.jsonl")
    whole = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    values = {"experiment": "parts", "sources": {"mine": settings | {"shard_images": 4}}}
    plan = resolve(Experiment.model_validate(values), Path.cwd())
    write_plan(plan, tmp_path / "parts")
    made = {}
    for artefact, planned in plan.jobs.items():
        path = planned.recipe.path(tmp_path / "parts")
        job = Job.from_files(path, execution_path(path), tmp_path / "parts" / artefact / "manifest.json")
        job.make()
        made[planned.recipe.name] = job.folder
    assert list(made) == ["mine-images", "mine-images-0001", "mine-images-0002", "mine"]
    for split in ("train", "heldout"):
        parts = [read_split(made[name], split).to_pylist() for name in made if name != "mine"]
        assert [row for part in parts for row in part] == read_split(whole["images"].folder, split).to_pylist()
        assert read_split(made["mine"], split).equals(read_split(whole["records"].folder, split))


def test_an_empty_source_is_one_line_with_a_remedy(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "bad.png").write_bytes(b"bad")
    rows = [{"image": "bad.png", "caption": "words"}, {"image": "none.png", "caption": "words"}]
    write_captions(tmp_path / "captions.jsonl", rows)
    told = r"sources\.mine: no usable image in .* \(1 x caption without image, 1 x corrupt image\); mend them"
    with pytest.raises(SourceError, match=told) as error:
        make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    assert "\n" not in str(error.value)
    assert list(tmp_path.glob("results/sources/*/rejected.parquet"))
    assert not list(tmp_path.glob("results/sources/*/manifest.json"))


def test_missing_and_unreadable_inputs_are_named(tmp_path):
    folder, rows = good_folder(tmp_path)
    captions = tmp_path / "captions.jsonl"
    with pytest.raises(SourceError, match=r"captions.jsonl: no such caption file"):
        make_folder(tmp_path, folder, captions)
    write_captions(captions, rows)
    with pytest.raises(SourceError, match=r"nowhere: no such folder"):
        make_folder(tmp_path, tmp_path / "nowhere", captions)
    (tmp_path / "captions.txt").write_text("x")
    with pytest.raises(SourceError, match=r"a table's name ends in"):
        make_folder(tmp_path, folder, tmp_path / "captions.txt")
    (tmp_path / "captions.csv").write_text("picture,caption\n0.png,words\n")
    with pytest.raises(SourceError, match=r"no column 'image' in the first line"):
        make_folder(tmp_path, folder, tmp_path / "captions.csv")


def test_paths_are_read_from_the_working_directory(tmp_path, monkeypatch):
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    made = make(Path("results"), "mine", **settings_of(folder.name, "captions.jsonl"))
    assert made["records"].manifest.facts["train_records"] == 7


def test_linked_data_are_taken_as_if_they_lay_in_the_folder(tmp_path):
    """`dvc add` with links leaves links into its cache; a folder may be one link, or hold some."""
    folder, rows = good_folder(tmp_path)
    (folder / "more").mkdir()
    noise(40, 30, 9).save(folder / "more" / "9.png")
    noise(40, 30, 10).save(folder / "more" / "alone.png")
    rows += [{"image": "more/9.png", "caption": "caption 9"}, {"image": "../more/9.png", "caption": "outside"}]
    write_captions(tmp_path / "captions.jsonl", rows)
    plain = make_folder(tmp_path, folder, tmp_path / "captions.jsonl", held_out=0.25)
    assert len(all_rows(plain)) == 9
    assert set(rejected_rows(plain)["records"]) == {"../more/9.png", "more/alone.png"}

    cache = tmp_path / "cache"
    cache.mkdir()
    for index in range(8):
        (folder / f"{index}.png").rename(cache / f"{index:032}")
        (folder / f"{index}.png").symlink_to(cache / f"{index:032}")
    (folder / "more").rename(cache / "more")
    (folder / "more").symlink_to(cache / "more")
    (cache / "more" / "round").symlink_to(folder)  # and in a circle
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert os.path.realpath(folder / "3.png") == str(cache / f"{3:032}")
    linked = make(tmp_path / "linked", "mine", held_out=0.25, **settings_of(folder, tmp_path / "captions.jsonl"))
    assert {what: made.manifest.digest for what, made in linked.items()} == {
        what: made.manifest.digest for what, made in plain.items()
    }


def test_what_cannot_be_read_is_set_aside_and_read_once_it_can(tmp_path, unreadable):
    folder, rows = good_folder(tmp_path)
    os.mkfifo(folder / "pipe.png")
    (folder / "nowhere.png").symlink_to(folder / "absent.png")
    rows += [{"image": name, "caption": "words"} for name in ("pipe.png", "nowhere.png")]
    write_captions(tmp_path / "captions.jsonl", rows)
    whole = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    for name in ("2.png", "5.png"):
        unreadable(folder / name)
    made = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    assert made["images"].folder != whole["images"].folder
    assert rejected_counts(made) == {
        "images": {"unreadable file": 2},
        "records": {"caption without image": 2, "image set aside": 2},
    }
    assert {row["reason"] for row in rejected_rows(made)["images"].values()} == {"unreadable file"}
    unreadable(tmp_path / "captions.jsonl")
    jobs = source_jobs(tmp_path / "results", "mine", **settings_of(folder, tmp_path / "captions.jsonl"))
    for job in jobs.values():
        with pytest.raises(UserError, match=r"captions\.jsonl.* can't be read") as refused:
            job.make()
        assert "\n" not in str(refused.value)


def test_a_fault_of_the_disk_is_no_fault_of_the_image(tmp_path, unreadable, monkeypatch):
    """What could be hashed and then can't be read is tried again, never stored as a bad image."""
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", rows)
    job = source_jobs(tmp_path / "results", "mine", **settings_of(folder, tmp_path / "captions.jsonl"))["images"]
    check = decoding.check_header

    def check_then_lose(path, *limits):
        if path.name == "3.png":
            unreadable(path)
        return check(path, *limits)

    monkeypatch.setattr(decoding, "check_header", check_then_lose)
    with pytest.raises(SourceError, match=r"3\.png: .* while it was being read; run again"):
        job.make()
    assert not (job.folder / "manifest.json").exists()


def test_images_that_come_or_go_between_the_two_jobs_are_refused(tmp_path):
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", [*rows, {"image": "late.png", "caption": "words"}])
    jobs = source_jobs(tmp_path / "results", "mine", **settings_of(folder, tmp_path / "captions.jsonl"))
    jobs["images"].make()
    noise(40, 30, 20).save(folder / "late.png")
    with pytest.raises(SourceError, match=r"sources\.mine: late\.png came after the images were made; run again"):
        jobs["records"].make()
    (folder / "late.png").unlink()
    kept = (folder / "3.png").read_bytes()
    (folder / "3.png").unlink()
    with pytest.raises(SourceError, match=r"sources\.mine: 3\.png is gone since the images were made; run again"):
        jobs["records"].make()
    (folder / "3.png").write_bytes(kept)
    assert jobs["records"].make().rejected == {"caption without image": 1}

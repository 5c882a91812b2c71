"""Images made elsewhere in GenEval's layout, with everything in it that people bring."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.judges.counting_judge import DOG, DOWN, NONSENSE, NOTHING, TWO_DOGS, CountingJudge, asked
from unix_lib.__main__ import app
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.config.strict import ConfigError
from unix_lib.evaluate import geneval_brought
from unix_lib.evaluate.geneval_brought import FolderOrder, judge_folder
from unix_lib.evaluate.geneval_folder import read_folder
from unix_lib.evaluate.geneval_results import summary_of
from unix_lib.judges.judge import JudgeError

CLAUSE = {"class": "dog", "count": 1}
PROMPTS: list[dict[str, Any]] = [
    {"tag": "single_object", "include": [CLAUSE], "prompt": "a photo of a dog"},
    {"tag": "counting", "include": [CLAUSE | {"count": 2}], "exclude": [CLAUSE | {"count": 3}], "prompt": "two dogs"},
    {"tag": "colors", "include": [CLAUSE | {"color": "red"}], "prompt": "a photo of a red dog"},
    {"tag": "colors", "include": [CLAUSE | {"color": "blue"}], "prompt": "a photo of a blue dog"},
]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geneval_brought, "BOOTSTRAP_SAMPLES", 100)


def picture(value: int, form: str = "PNG", turned: int | None = None) -> bytes:
    """An image whose first pixel, upright, says what a judge is to see in it."""
    pixels = np.full((10, 16, 3), 9, np.uint8)
    pixels[0, 0] = value
    buffer, image = io.BytesIO(), Image.fromarray(pixels if turned is None else np.rot90(pixels).copy())
    exif = Image.Exif()
    if turned is not None:
        exif[0x0112] = turned
    image.save(buffer, form, exif=exif)
    return buffer.getvalue()


def brought(folder: Path, images: list[list[bytes]], names: str = "{:05d}.png") -> Path:
    for number, (prompt, own) in enumerate(zip(PROMPTS, images, strict=False)):
        samples = folder / f"{number:05d}" / "samples"
        samples.mkdir(parents=True)
        (samples.parent / "metadata.jsonl").write_text(json.dumps(prompt))
        for place, data in enumerate(own):
            (samples / names.format(place)).write_bytes(data)
    return folder


def order(folder: Path, benchmark: bool = True, **settings: Any) -> FolderOrder:
    prompts = folder.parent / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    judge = CountingJudge(
        kind="tests.judges.counting_judge", log=str(folder.parent / "log"), counting_confidence=0.9, **settings
    )
    return FolderOrder(folder, judge, folder.parent / "out", prompts if benchmark else None)


def lines(order: FolderOrder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (order.output / "results.jsonl").read_text().splitlines()]


def test_results_are_as_the_authors_scripts_write_and_print_them(tmp_path: Path) -> None:
    folder = brought(
        tmp_path / "images",
        [[picture(v) for v in row] for row in ([DOG, NOTHING], [TWO_DOGS, DOG], [DOG, DOG], [DOG, NOTHING])],
    )
    given = order(folder)
    summary = judge_folder(given)
    found = lines(given)
    assert [line["filename"] for line in found[:3]] == [
        "00000/samples/00000.png",
        "00000/samples/00001.png",
        "00001/samples/00000.png",
    ]
    assert found[0] == {
        "filename": "00000/samples/00000.png",
        "tag": "single_object",
        "prompt": "a photo of a dog",
        "correct": True,
        "reason": "",
        "metadata": json.dumps(PROMPTS[0]),
        "details": json.dumps({"dog": [[0.0, 0.0, 8.0, 8.0, 0.95]]}),
    }
    # Of two dogs one is less certain than a prompt that counts asks for.
    assert [line["correct"] for line in found] == [True, False, False, False, True, True, False, False]
    assert json.loads(found[2]["details"]) == {"dog": [[0.0, 0.0, 8.0, 8.0, 0.95]]}
    assert found[2]["reason"] == "expected dog>=2, found 1"
    assert summary.startswith(
        "Summary\n=======\nTotal images: 8\nTotal prompts: 4\n% correct images: 37.50%\n% correct prompts: 50.00%\n\n"
        "Task breakdown\n==============\nsingle_object    = 50.00% (1 / 2)\ncounting         = 0.00% (0 / 2)\n"
        "colors           = 50.00% (2 / 4)\n\nOverall score (avg. over tasks): 0.33333\n"
    )
    assert (given.output / "results.txt").read_text() == summary
    with open(given.output / "scores.csv", newline="") as file:
        scores = {row["metric"]: row for row in csv.DictReader(file)}
    assert float(scores["overall"]["value"]) == pytest.approx(1 / 3)
    assert float(scores["overall"]["low"]) < 1 / 3 < float(scores["overall"]["high"])
    assert scores["overall"]["judge"] == "tests.judges.counting_judge 1"
    assert scores["overall"]["protocol"] == "geneval, 2 images a prompt"
    assert scores["overall_shuffled"]["n"] == "4"  # of colours alone is there another prompt


def test_what_people_bring_is_judged_set_aside_or_missing_but_never_lost(tmp_path: Path) -> None:
    folder = brought(tmp_path / "images", [[picture(DOG)] * 2, [picture(DOG)] * 2, [picture(DOG)] * 2])
    samples = folder / "00000" / "samples"
    (samples / "00000.png").unlink()
    (samples / "a dog é 7.JPG").write_bytes(picture(DOG, "PNG", turned=6))  # a PNG called JPG, turned by EXIF
    (samples / "broken.png").write_bytes(picture(DOG)[:60])
    (samples / "folder.png").mkdir()
    (samples / "notes.txt").write_text("a dog")
    (samples / "zzz.webp").write_bytes(picture(DOG, "BMP"))  # a third one
    shutil.rmtree(folder / "00001" / "samples")
    (folder / "00002" / "metadata.jsonl").write_text("{nothing")
    (folder / "2").mkdir()  # beside 00002
    (folder / "00009").mkdir()
    (folder / "grid.png").write_bytes(picture(DOG))
    given = replace(order(folder), per_prompt=2)
    summary = judge_folder(given)
    found = lines(given)
    assert [(line["filename"], line["correct"], line["reason"]) for line in found] == [
        ("00000/samples/00001.png", True, ""),
        ("00000/samples/a dog é 7.JPG", True, ""),  # seen upright
        ("00001/samples/missing-0", False, "missing image"),
        ("00001/samples/missing-1", False, "missing image"),
        ("00002/samples/00000.png", True, ""),
        ("00002/samples/00001.png", True, ""),
        ("00003/samples/missing-0", False, "missing image"),
        ("00003/samples/missing-1", False, "missing image"),
    ]
    rejected = {row["sample_id"]: row["reason"] for row in pq.read_table(given.output / "rejected.parquet").to_pylist()}
    assert rejected == {
        "00000/samples/broken.png": "truncated image",
        "00000/samples/folder.png": "no image",
        "00000/samples/notes.txt": "corrupt image",
        "00000/samples/zzz.webp": "extra image",
        "00002/metadata.jsonl": "no metadata",
        "2": "not a prompt's folder",
        "00009/metadata.jsonl": "no metadata",
        "00009": "not of this benchmark",
        "grid.png": "not a prompt's folder",
    }
    assert "Missing images, counted as wrong: 4 (2 a prompt)" in summary
    facts = json.loads((given.output / "judged.json").read_text())
    assert (facts["images"], facts["images_missing"], sum(facts["set_aside"].values())) == (8, 4, len(rejected))
    assert len(facts["prompts_sha256"]) == 64
    assert asked(tmp_path / "log") == 4


def test_prompts_in_other_words_count_and_other_prompts_do_not(tmp_path: Path) -> None:
    folder = brought(tmp_path / "images", [[picture(DOG)], [picture(DOG)], [picture(DOG)], [picture(DOG)]])
    (folder / "00000" / "metadata.jsonl").write_text(json.dumps(PROMPTS[0] | {"prompt": "一只狗的照片"}))
    (folder / "00003" / "metadata.jsonl").write_text(json.dumps(PROMPTS[2]))
    given = order(folder)
    assert "Prompts in other words than the benchmark's: 1\n" in judge_folder(given)
    assert [line["reason"] for line in lines(given)] == ["", "expected dog>=2, found 1", "", "missing image"]
    # Without the benchmark's prompts a folder is believed.
    given = order(folder, benchmark=False)
    judge_folder(given)
    assert [line["correct"] for line in lines(given)] == [True, False, True, True]
    assert asked(tmp_path / "log") < 8  # what was judged before is not judged again


def test_a_run_that_was_stopped_goes_on_and_more_images_are_all_that_is_judged(tmp_path: Path) -> None:
    folder = brought(tmp_path / "images", [[picture(DOG), picture(TWO_DOGS)]] + [[picture(DOG)] * 2] * 3)
    for number in range(4):  # so that no two are the same file
        for path in sorted((folder / f"{number:05d}" / "samples").iterdir()):
            path.write_bytes(path.read_bytes() + str(path).encode())
    with pytest.raises(JudgeError, match="run again when it is there"):
        judge_folder(order(folder, down_after=5))
    assert not (tmp_path / "out" / "results.jsonl").exists()
    summary = judge_folder(order(folder))
    (folder / "00003" / "samples" / "00001.png").unlink()
    before = asked(tmp_path / "log")
    assert "Missing images, counted as wrong: 1 " in judge_folder(order(folder))
    (folder / "00003" / "samples" / "00001.png").write_bytes(picture(NOTHING))
    judge_folder(order(folder))
    assert asked(tmp_path / "log") == before + 1
    assert summary.count("Total images: 8") == 1


def test_an_image_without_a_verdict_is_no_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = brought(tmp_path / "images", [[picture(DOG), picture(NONSENSE)]] * 1 + [[picture(DOG)] * 2] * 3)
    with pytest.raises(JudgeError, match="no verdict on 1 of 8 images"):
        judge_folder(order(folder))
    monkeypatch.setattr("unix_lib.judges.inquiry.MOST_WITHOUT", 0.2)
    given = order(folder)
    assert "single_object    = 100.00% (1 / 1)" in judge_folder(given)
    assert json.loads((given.output / "judged.json").read_text())["set_aside"] == {"no verdict": 1}
    (folder / "00000" / "samples" / "00001.png").write_bytes(picture(DOWN))
    with pytest.raises(JudgeError, match="can't be reached"):
        judge_folder(given)


def test_a_folder_in_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no folder; give one"):
        read_folder(tmp_path / "none", None, None)
    (tmp_path / "dog.png").write_bytes(picture(DOG))
    with pytest.raises(BenchmarkError, match=r"no image in the layout 00000/samples/00000\.png \(.*its name is no"):
        read_folder(tmp_path, None, None)


def test_a_damaged_prompt_file_moves_no_number(tmp_path: Path) -> None:
    given = order(brought(tmp_path / "images", [[picture(DOG)]]))
    assert given.prompts is not None
    given.prompts.write_text("{nothing\n" + given.prompts.read_text())
    with pytest.raises(BenchmarkError, match="1 lines are no prompts; the first was set aside as malformed row"):
        judge_folder(given)


def test_the_commonest_number_of_images_is_what_a_prompt_has(tmp_path: Path) -> None:
    folder = brought(tmp_path, [[picture(DOG)] * count for count in (2, 2, 3, 1)])
    assert read_folder(folder, None, None).per_prompt == 2
    assert read_folder(folder, None, None).missing == 1
    assert read_folder(folder, None, 4).missing == 8


def test_prompts_of_one_text_are_told_apart_in_the_summary_as_the_authors_tell_them() -> None:
    line = {"tag": "colors", "correct": True, "metadata": "{}"}
    assert "Total prompts: 2\n% correct images: 66.67%\n% correct prompts: 50.00%" in summary_of(
        [line, line, line | {"correct": False, "metadata": "[]"}]
    )


def test_the_command_judges_with_a_config_s_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = brought(tmp_path / "images", [[picture(DOG)]])
    judge = order(folder, benchmark=False).judge
    asked_of: dict[str, Any] = {}

    class Config:
        class evaluate:
            @staticmethod
            def all_judges() -> dict[str, Any]:
                return {"mine": judge}

    monkeypatch.setattr(
        "unix_lib.commands.judge.load_experiment", lambda config: asked_of.update(config=config) or Config
    )
    options = ["judge", "geneval", str(folder), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*options, "--config", "c.yaml", "--judge", "mine"])
    assert done.exit_code == 0 and "Overall score (avg. over tasks): 1.00000" in done.output
    assert asked_of == {"config": Path("c.yaml")}
    failed = CliRunner().invoke(app, [*options, "--config", "c.yaml", "--judge", "min"])
    assert isinstance(failed.exception, ConfigError) and "did you mean 'mine'?" in str(failed.exception)
    failed = CliRunner().invoke(app, [*options, "--detector", str(tmp_path), "--device", "cpu"])
    assert isinstance(failed.exception, JudgeError) and "no Mask2Former" in str(failed.exception)

"""A scoring job whose judge fails: it goes on where it was, and no score is made of what nobody judged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import SmallEvaluation, SmallExperiment
from tests.evaluate.test_make import with_files
from tests.judges import tiny
from tests.judges.counting_judge import DOG, NONSENSE, TWO_DOGS, asked
from unix_lib.evaluate.generation import colors_wanted
from unix_lib.images.files import png_bytes
from unix_lib.judges import inquiry, instances
from unix_lib.judges.judge import JudgeError

IMAGES = 36


def judged(small: SmallExperiment, tmp_path: Path, group: str, **settings: Any) -> SmallEvaluation:
    """The scores of a checkpoint by a judge that sees dogs, of images that show them."""
    judge = {"kind": "tests.judges.counting_judge", "log": str(tmp_path / "log")} | settings
    evaluation = small.evaluation("geneval", group=group, judges={"dogs": judge}, judge="dogs")
    evaluation.group.make()
    return evaluation


def showing(evaluation: SmallEvaluation, nonsense: int) -> None:
    """Replace the images by ones that differ, one of them beyond the judge."""
    folder = evaluation.members["geneval"].folder
    rows = pq.read_table(folder / "images.parquet").to_pylist()
    assert len(rows) == IMAGES
    for place, row in enumerate(rows):
        image = np.full((32, 32, 3), place, np.uint8)
        image[0, 0] = NONSENSE if place == nonsense else (DOG, TWO_DOGS)[place % 2]
        row["image"] = png_bytes(image)
    with_files(evaluation, "geneval", "images.parquet", rows)


def scored(evaluation: SmallEvaluation) -> tuple[Any, ...]:
    evaluation.scores.make()
    folder = evaluation.scores.folder
    return tuple(pq.read_table(folder / name) for name in ("scores.parquet", "verdicts.parquet", "rejected.parquet"))


def test_a_killed_scoring_job_asks_no_image_twice(
    small: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.judges.counting_judge.CountingJudge.at_once", 4)
    first = judged(small, tmp_path, "dogs", down_after=22)
    showing(first, -1)
    with pytest.raises(JudgeError, match="run again when it is there"):
        first.scores.make()
    assert not (first.scores.folder / "manifest.json").exists() and any(first.scores.work.rglob("part-*"))
    again = judged(small, tmp_path, "dogs")
    assert again.scores.recipe == first.scores.recipe
    tables = scored(again)
    assert asked(tmp_path / "log") == 22 + IMAGES - 20  # four at a time
    assert not again.scores.work.exists()
    small.forget("evaluate")
    assert scored(again) == tables
    small.forget()


def test_an_image_without_a_verdict_is_set_aside_and_no_wrong_one(
    small: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = judged(small, tmp_path, "nonsense")
    showing(evaluation, 7)
    with pytest.raises(JudgeError, match=f"no verdict on 1 of {IMAGES} images, more than 1%"):
        evaluation.scores.make()
    monkeypatch.setattr(inquiry, "MOST_WITHOUT", 0.1)
    scores, verdicts, rejected = scored(evaluation)
    assert next(row for row in scores.to_pylist() if row["metric"] == "overall")["n"] == IMAGES - 1 == verdicts.num_rows
    (row,) = rejected.to_pylist()
    assert (row["sample_id"], row["reason"], row["detail"]) == ("00003-1", "no verdict", "unreadable answer")
    small.forget()


def test_confidence_counts_as_a_judge_s_settings_say(small: SmallExperiment, tmp_path: Path) -> None:
    for confidence, seen in ((None, 2), (0.9, 1), (0.96, 0)):
        evaluation = judged(small, tmp_path, f"sure-{seen}", confidence=confidence)
        showing(evaluation, -1)
        manifest = evaluation.scores.make()
        results = evaluation.scores.folder / "results"
        assert results.exists() == (confidence is not None)
        if results.exists():
            lines = [json.loads(line) for line in (results / "geneval.jsonl").read_text().splitlines()]
            assert len(lines) == IMAGES and lines[3]["filename"] == "00001/samples/00001.png"
            assert len(json.loads(lines[3]["details"]).get("dog", [])) == seen
            assert "Total images: 36\n" in (results / "geneval.txt").read_text()
            assert {"results/geneval.jsonl", "results/geneval.txt"} <= {entry.path for entry in manifest.files}
        samples = pq.read_table(evaluation.scores.folder / "samples" / "geneval.parquet").to_pylist()
        assert samples[1]["prediction"].count("dog") == seen
        small.forget()


def test_real_prompts_are_scored_by_the_judge_of_real_objects(
    small: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GenEval's own prompts through both jobs, by tiny random models, whose folders are part of the recipe."""
    monkeypatch.setattr(instances, "LONGEST", 133)
    monkeypatch.setattr(instances, "SHORTEST", 80)
    shown = ({"class": "dog", "count": 1, "color": "red"}, {"class": "tv remote", "count": 2})
    prompts = [{"tag": "colors", "include": [shown[0]], "prompt": "a photo of a red dog"}]
    prompts += [{"tag": "counting", "include": [shown[1]], "prompt": "a photo of two tv remotes"}]
    prompts += [{"tag": "counting", "include": [shown[1]], "prompt": "a photo" + " of a photo" * 2000}]  # too long
    (tmp_path / "geneval.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    detector, clip = tiny.mask2former(tmp_path / "detector", scale=30), tiny.clip(tmp_path / "clip")
    judge = {"kind": "mask2former", "detector": {"path": str(detector)}, "clip": {"path": str(clip)}, "device": "cpu"}
    judge |= {"known_image": None, "confidence": 0.01, "counting_confidence": 0.02}
    given = {"source": None, "file": str(tmp_path / "geneval.jsonl"), "judges": {"real": judge}, "judge": "real"}
    evaluation = small.evaluation("geneval", group="real", **given)
    evaluation.group.make()
    scores, verdicts, rejected = scored(evaluation)
    assert evaluation.members["geneval"].made().facts["too_long"] == 1
    assert [row["reason"] for row in rejected.to_pylist()] == ["no image"] * 2
    assert [row["value"] for row in verdicts.to_pylist() if row["prompt_index"] == 2] == [0.0] * 2
    assert set(scores["protocol"].to_pylist()) == {"geneval_hf, 2 images a prompt"}
    assert set(scores["judge"].to_pylist()) == {"mask2former 1 detector clip unchecked"}
    assert verdicts.num_rows == 6
    lines = (evaluation.scores.folder / "results" / "geneval.jsonl").read_text().splitlines()
    assert [json.loads(line)["tag"] for line in lines] == ["colors"] * 2 + ["counting"] * 4
    assert all(json.loads(json.loads(line)["details"]) for line in lines[:4])
    recipe = small.evaluation("geneval", group="real", **given).scores.recipe
    assert recipe == evaluation.scores.recipe
    (clip / "more.txt").write_text("other weights")
    assert small.evaluation("geneval", group="real", **given).scores.recipe != recipe
    small.forget()


def test_colors_are_wanted_for_a_prompt_and_its_control() -> None:
    clauses = [{"class": "dog", "count": 2, "color": "red"}, {"class": "cat", "count": 1}]
    prompts: list[Any] = [{"include": clauses}, {"include": [{"class": "cup", "count": 1, "color": "blue"}]}]
    assert colors_wanted(prompts, [None, None], 0) == {"dog": 2}
    assert colors_wanted(prompts, [1, 0], 0) == colors_wanted(prompts, [1, 0], 1) == {"dog": 2, "cup": 1}

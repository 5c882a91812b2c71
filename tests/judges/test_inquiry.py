"""What a judge says is kept; what it does not say is counted, and no score is made of it."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.judges.counting_judge import DOG, DOWN, NONSENSE, NOTHING, CountingJudge, asked, open_counting_judge
from unix_lib.judges.inquiry import Asked, Inquiry, ObjectInquiry
from unix_lib.judges.judge import JudgeError, NoVerdict


def inquiry(folder: Path, total: int, at_once: int = 4, **settings: Any) -> ObjectInquiry:
    judge = CountingJudge(kind="tests.judges.counting_judge", log=str(folder / "log"), **settings)
    return ObjectInquiry("dogs", folder / "work", total, open_counting_judge(judge, 8), at_once)


def images(values: Sequence[int], shift: int = 0) -> list[Asked]:
    return [
        Asked(str(shift + place), partial(np.full, (8, 8, 3), value, np.uint8), {})
        for place, value in enumerate(values)
    ]


def test_a_judge_that_goes_down_is_asked_only_what_it_was_not(tmp_path: Path) -> None:
    values = [DOG, NOTHING] * 20
    with pytest.raises(JudgeError, match="run again when it is there"):
        inquiry(tmp_path, 40, down_after=29).objects(images(values))
    assert asked(tmp_path / "log") == 29
    found = inquiry(tmp_path, 40).objects(images(values))
    assert [len(seen) for seen in found] == [1, 0] * 20  # type: ignore[arg-type]
    assert asked(tmp_path / "log") == 29 + 40 - 28  # the batch in which it went down is asked again
    assert inquiry(tmp_path, 40, down_after=0).objects(images(values)) == found


def test_a_damaged_part_is_asked_again(tmp_path: Path) -> None:
    values = [DOG, NOTHING] * 20
    found = inquiry(tmp_path, 40).objects(images(values))
    parts = sorted((tmp_path / "work").iterdir())
    assert len(parts) == 3
    rows = parts[1] / "rows.parquet"
    lost, data = pq.read_metadata(rows).num_rows, bytearray(rows.read_bytes())
    data[len(data) // 2] ^= 255
    rows.write_bytes(data)
    assert inquiry(tmp_path, 40).objects(images(values)) == found
    assert asked(tmp_path / "log") == 40 + lost
    assert inquiry(tmp_path, 40, down_after=0).objects(images(values)) == found


def test_one_image_without_a_verdict_spoils_no_other_and_is_never_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = [DOG] * 100
    values[5] = NONSENSE
    with caplog.at_level(logging.INFO, "unix_lib"):
        found = inquiry(tmp_path, 100).objects(images(values))
    assert [type(seen) for seen in found] == [list] * 5 + [NoVerdict] + [list] * 94
    assert "100 of 100 judged, 1 without a verdict" in caplog.text
    values[5] = DOG
    again = inquiry(tmp_path, 100, down_after=asked(tmp_path / "log") + 1).objects(images(values))
    assert all(len(seen) == 1 for seen in again)  # type: ignore[arg-type]


def test_more_than_one_in_a_hundred_make_no_score_and_the_rest_is_kept(tmp_path: Path) -> None:
    values = [DOG] * 100
    values[50] = values[80] = NONSENSE
    with pytest.raises(JudgeError, match=r"no verdict on 2 of 100 images, more than 1%, .* answered 'bananas'"):
        inquiry(tmp_path, 100).objects(images(values))
    before = asked(tmp_path / "log")
    assert all(inquiry(tmp_path, 100, healthy=True).objects(images(values)))
    assert asked(tmp_path / "log") - before == 100 - 79


def test_few_images_are_all_judged_or_there_is_no_score(tmp_path: Path) -> None:
    for value in (NONSENSE, DOWN):
        with pytest.raises(JudgeError):
            inquiry(tmp_path, 3).objects(images([DOG, DOG, value]))


def test_questions_are_kept_as_objects_are(tmp_path: Path) -> None:
    said: list[str] = []

    def ask(some: Sequence[Asked]) -> list[str]:
        said.extend(one.about for one in some)
        return [f"{one.about} {one.image().shape}" for one in some]

    wanted = [Asked(f"q{place}", partial(np.zeros, (8, 8, 3), np.uint8), f"is it {place}?") for place in range(5)]
    first = Inquiry("questions", tmp_path, 5, ask, 2).answers(wanted[:3])
    assert first == [f"is it {place}? (8, 8, 3)" for place in range(3)]
    assert Inquiry("questions", tmp_path, 5, ask, 2).answers(wanted)[:3] == first
    assert said == [one.about for one in wanted]

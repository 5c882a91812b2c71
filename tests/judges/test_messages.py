"""Replies of judges: read whole, or refused in one line that names the judge, whatever is wrong with them."""

import json
import math

import pytest

from tests.records.mutations import damaged
from unix_lib.judges.judge import JudgeError
from unix_lib.judges.messages import answer_from, objects_from, reply_in

THING = {"class": "circle", "color": "red", "box": [1, 2, 3, 4], "confidence": 0.5, "size": "large"}
OBJECTS = json.dumps({"objects": [THING, THING | {"class": "a café"}]}, ensure_ascii=False).encode()


def test_a_damaged_reply_is_read_or_refused() -> None:
    read = 0
    for number in range(1500):
        data = damaged(OBJECTS, f"reply/{number}")
        try:
            found = objects_from(reply_in(data, "judge", "a line of JSON"), "judge")
        except JudgeError as error:
            assert str(error).startswith("judge: answered ") and "\n" not in str(error)
            continue
        read += 1
        for each in found:
            assert each.name.encode() and each.color.encode() is not None
            assert all(map(math.isfinite, each.box)) and 0 <= each.confidence <= 1
    assert 50 < read < 1400


@pytest.mark.parametrize(
    "values",
    [
        {"confidence": 10**400},
        {"box": [10**400, 1, 2, 3]},
        {"box": [float("nan"), 1, 2, 3]},
        {"class": "half \ud83d"},
        {"color": None},
        {"class": ""},
    ],
)
def test_an_object_that_is_none_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(JudgeError, match=r"judge: answered .*, expected"):
        objects_from({"objects": [THING | values]}, "judge")


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"answer": "a", "answer": "b"}', b'{"answer": "\xff"}', b""])
def test_a_line_that_is_no_json_is_refused(line: bytes) -> None:
    with pytest.raises(JudgeError, match="expected a line of JSON; correct the judge"):
        reply_in(line, "judge", "a line of JSON")


@pytest.mark.parametrize("reply", [[], {}, {"answer": 3}, {"answer": "half \ud83d"}])
def test_an_answer_that_is_none_is_refused(reply: object) -> None:
    with pytest.raises(JudgeError, match="expected"):
        answer_from(reply, "judge")

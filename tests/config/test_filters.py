"""Filters take the rows that pyarrow's own take."""

import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unix_lib.config.filters import OPERATORS, NotComparableError, conditions_of, passes

ORDERED = ("==", "!=", "<", "<=", ">", ">=")


def random_filter(rng: random.Random, values: dict[str, list[Any]]) -> list[Any]:
    def condition() -> list[Any]:
        column = rng.choice(list(values))
        known = [value for value in values[column] if value is not None]
        if rng.random() < 0.3:
            return [column, rng.choice(("in", "not in")), rng.sample(known, 2)]
        return [column, rng.choice(ORDERED), rng.choice(known)]

    groups = [[condition() for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(1, 3))]
    return groups[0] if len(groups) == 1 else groups


def test_random_filters_take_what_pyarrows_take(tmp_path: Any) -> None:
    rng = random.Random(1)
    values: dict[str, list[Any]] = {
        "number": [None, *range(8)],
        "score": [None, 0.25, 0.5, 0.8, 3.0],
        "word": [None, "a", "b", "日", ""],
    }
    rows = [{name: rng.choice(known) for name, known in values.items()} | {"row": row} for row in range(300)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    sizes = set()
    for _ in range(150):
        filter_ = random_filter(rng, values)
        theirs = (
            [tuple(c) for c in filter_] if isinstance(filter_[0][0], str) else [list(map(tuple, g)) for g in filter_]
        )
        expected = pq.read_table(tmp_path / "a.parquet", filters=theirs)["row"].to_pylist()
        assert [row["row"] for row in rows if passes(row, conditions_of(filter_))] == expected, filter_
        sizes.add(len(expected))
    assert len(sizes) > 30


def test_texts_are_compared_with_numbers_as_numbers() -> None:
    assert passes({"score": "0.9"}, conditions_of([["score", ">=", 0.8]]))
    assert not passes({"score": "0.10"}, conditions_of([["score", ">=", 0.8]]))
    for value in ("high", [1], {"a": 1}):
        with pytest.raises(NotComparableError, match=r"its 'score' can't be compared with 0\.8"):
            passes({"score": value}, conditions_of([["score", ">=", 0.8]]))


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ([["a", "=>", 1]], "no operator '=>'; known: " + ", ".join(OPERATORS)),
        ([["a", ">"]], r"\['a', '>'\]|'a' is not|is not \[column"),
        (["a"], "is no list of"),
        ([["a", "in", "b"]], "takes a list of values"),
        ([["a", "==", {}]], "is no text, number, true or false"),
    ],
)
def test_what_is_no_filter_is_refused_in_words(filter_: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conditions_of(filter_)

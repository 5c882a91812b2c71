"""Statistics add up to what there is."""

from pathlib import Path

import numpy as np
import pytest

from tests.pack.conftest import experiment
from tests.pack.experiment import Experiment
from unix_lib.look.samples import MadeSource
from unix_lib.look.statistics import histogram, source_statistics, spread, spread_documents, tokens_by_source
from unix_lib.pack.reader import PackReader
from unix_lib.records.scripts import scripts_of

__all__ = ["experiment"]


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("Größe 12!", {"Latin": 5}),
        ("鹦鹉 a ", {"Han": 2, "Latin": 1}),
        ("ひカ 한 Ж अ", {"Hiragana": 1, "Katakana": 1, "Hangul": 1, "Cyrillic": 1, "Devanagari": 1}),
        ("12 .,! 🙂", {}),
    ],
)
def test_scripts_are_told_by_letters(text: str, scripts: dict[str, int]) -> None:
    assert dict(scripts_of(text)) == scripts


@pytest.mark.parametrize("values", [[7], [1, 2, 3], list(range(100)), [1, 1000], [5] * 9 + [6]])
def test_a_histogram_holds_every_value_once(values: list[int]) -> None:
    bins = histogram(np.array(values))
    assert sum(count for _, _, count in bins) == len(values)
    for low, high, count in bins:
        assert sum(low <= value <= high for value in values) == count
    assert bins[0][0] == min(values) and bins[-1][1] == max(values)


def test_tokens_and_lengths_are_those_of_the_packs(experiment: Experiment) -> None:
    manifest, folder = experiment.pack({"scenes": experiment.scenes, "prose": experiment.prose})
    tokens, documents = tokens_by_source(manifest), list(spread_documents(PackReader(folder)))
    assert tokens.keys() == {"scenes", "prose"} and tokens["prose"]["image_tokens"] == 0
    total = sum(counts["text_tokens"] + counts["image_tokens"] for counts in tokens.values())
    assert sum(len(document.input_ids) for document in documents) == total
    assert len(documents) == sum(counts["documents"] for counts in tokens.values())


def test_what_is_looked_at_is_spread() -> None:
    assert spread(5, 10) == [0, 1, 2, 3, 4] and spread(101, 3) == [0, 50, 100] and spread(0, 3) == []


def test_a_source_is_counted(experiment: Experiment) -> None:
    found = source_statistics(MadeSource("scenes", [Path(experiment.results / experiment.scenes.records)], [], [], 16))
    assert found.records == len(experiment.scenes_train) + 6 == sum(found.kinds.values())
    assert set(found.kinds) == {"image_text", "conversation"} and found.main_scripts == "Latin 100%"
    assert len(found.characters) == found.records

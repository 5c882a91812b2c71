"""Tokens per character: by script, of a tokenizer that saw the source and of one that did not."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.jobs.making import make_job
from tests.records.making import write_splits
from unix_lib.analyze.text_cost import NO_LETTER, script_of
from unix_lib.analyze.text_cost_kind import TextCostSettings
from unix_lib.records.schema import RECORD
from unix_lib.tokenizers.train_bpe import BPETraining

LATIN = [f"a small picture of thing {number} in front of a wall" for number in range(30)]
HAN = ["灰色天空下的中国寺庙屋顶", "深色叶子前的粉红色大丽花", "一位穿制服的海军上将的肖像"]


def write_source(results: Path, name: str, texts: list[str], **others: object) -> str:
    rows = [
        {"sample_id": f"{number}", "kind": "text", "text": text, "source": name} | others
        for number, text in enumerate(texts)
    ]
    return write_splits(results, f"sources/{name}", RECORD, rows, rows)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_source(tmp_path, "english", LATIN)
    write_source(tmp_path, "mixed", LATIN + HAN * 5)
    return tmp_path


def cost(results: Path, learned_from: list[str], sources: list[str]) -> pd.DataFrame:
    inputs: dict[str, str | list[str]] = {"records": [f"sources/{name}-000000000000" for name in learned_from]}
    tokenizer = make_job(results, "tokenizers", "text", "text/train_bpe", BPETraining(vocabulary_size=400), inputs)
    tokenizer.make()
    read: dict[str, str | list[str]] = {"text_tokenizer": str(tokenizer.recipe.artefact)}
    read |= {f"records:{name}": [f"sources/{name}-000000000000"] for name in sources}
    job = make_job(results, "analyze", "text_cost", "text_cost", TextCostSettings(), read)
    job.make()
    return pd.read_parquet(job.folder / "text_cost.parquet").set_index(["source", "script"])


def test_what_the_tokenizer_never_saw_is_spelled_out(results: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table = cost(results, ["english"], ["english", "mixed"])
    han, latin = table.loc["mixed", "Han"], table.loc["english", "Latin"]
    assert han.tokens_per_character == pytest.approx(3.0)  # UTF-8 has three bytes for each
    assert (han.texts, han.characters, han.tokens) == (15, 185, 555)
    assert latin.tokens_per_character < 0.5
    assert (bool(han.costly), han.learned_from, latin.learned_from) == (True, False, True)
    assert [record.message for record in caplog.records if "tokenizers.text.sources" in record.message] == [
        "source 'mixed': 3.00 tokens a character of Han text; add it to tokenizers.text.sources"
    ]
    learned = cost(results, ["english", "mixed"], ["mixed"])
    assert learned.loc["mixed", "Han"].tokens_per_character < 1.0
    assert not learned.costly.any()


def test_standard_error_is_the_spread_over_samples_of_texts(results: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["a", "of", "picture", "xylophone", "qqq", "in front of", "zzzz"]
    texts = [" ".join(rng.choice(words, rng.integers(3, 9))) for _ in range(2000)]
    for number in range(20):
        write_source(results, f"part{number}", texts[number * 100 : number * 100 + 100])
    table = cost(results, ["english"], [f"part{number}" for number in range(20)])
    ratios, errors = table.tokens_per_character, table.standard_error
    assert errors.mean() == pytest.approx(ratios.std(), rel=0.4)


def test_conversations_and_sources_without_a_text(results: Path) -> None:
    said = [{"role": "user", "content": " Was ist das? "}, {"role": "assistant", "content": "屋顶"}]
    write_source(results, "talk", ["x"], kind="conversation", text=None, messages=said)
    write_source(results, "empty", [])
    table = cost(results, ["english"], ["talk", "empty"])
    assert list(table.index) == [("talk", "Latin")]
    assert table.characters.item() == len("Was ist das?\n屋顶")
    assert np.isnan(table.standard_error.item())


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Ein schöner Tag", "Latin"),
        ("一幅画 of a tree", "Latin"),
        ("一幅画着树的图画 a", "Han"),
        ("Красная площадь", "Cyrillic"),
        ("東京タワーとカメラ", "Katakana"),
        ("한국어 문장", "Hangul"),
        ("12:30, 40 %", NO_LETTER),
        ("", NO_LETTER),
    ],
)
def test_script_of(text: str, script: str) -> None:
    assert script_of(text) == script

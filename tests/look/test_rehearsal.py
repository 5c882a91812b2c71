"""A rehearsal sees what a run would, of a sample, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest

from tests.look.small import SIDE, config, experiment, talk, write_all, write_photos, write_talks
from tests.sources.making import make
from unix_lib.config.file_hashes import FileHashes
from unix_lib.look.rehearsal import Rehearsal, rehearsal
from unix_lib.records.shards import SPLITS, iterate_rows

RESULTS = Path("results/small")
SOURCES: dict[str, dict[str, Any]] = {
    "digits": {"kind": "digits", "image_size": SIDE},
    "shapes": {"kind": "shapes"},
    "mine": {
        **{"kind": "text", "corpus": "files", "files": ["data/*.txt"]},
        **{"document_characters": 100, "cloze_questions": 0},
    },
    "photos": config()["sources"]["photos"],
    "talks": config()["sources"]["talks"],
}


def records_of(rehearsed: Rehearsal, name: str) -> dict[str, dict[str, Any]]:
    source = rehearsed.source(name)
    assert source.errors == []
    folders = [rehearsed.results / artefact for artefact in source.records]
    return {row["sample_id"]: row for folder in folders for split in SPLITS for row in iterate_rows(folder, split)}


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("digits", "shapes")])
def test_a_sample_holds_records_of_the_run(name: str) -> None:
    write_all(40)
    Path("data/mine.txt").write_text("\n\n".join(f"Paragraph {number}. " + "word " * 15 for number in range(60)))
    with rehearsal(experiment(config(sources={name: SOURCES[name]}, tokenizers={}, pack=None)), RESULTS, 10) as sample:
        found = records_of(sample, name)
    made = make(RESULTS, name, **SOURCES[name])["records"].folder
    run = {row["sample_id"]: row for split in SPLITS for row in iterate_rows(made, split)}
    assert 5 <= len(found) <= 20 < len(run)
    known = {id_.rpartition("talks/")[2]: row | {"sample_id": ""} for id_, row in run.items()}
    assert {id_.rpartition("talks/")[2]: row | {"sample_id": ""} for id_, row in found.items()}.items() <= known.items()


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_sources_that_are_drawn_are_sampled_too(name: str) -> None:
    with rehearsal(experiment(config(sources={name: SOURCES[name]}, tokenizers={}, pack=None)), RESULTS, 10) as sample:
        found = records_of(sample, name)
        assert sample.source(name).images
    assert 10 <= len(found) <= {"digits": 1797, "shapes": 40}[name]


def test_a_sample_is_spread_over_the_files_and_no_file_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcdefghijklmnopqrst":
        write_talks([talk(ord(name) + 100 * row) for row in range(30)], f"part-{name}")
    write_photos(3)

    def hashed(self: FileHashes, path: Path) -> tuple[int, str]:
        raise AssertionError(f"{path} was hashed")

    monkeypatch.setattr(FileHashes, "size_and_digest", hashed)
    with rehearsal(experiment(), RESULTS, 24) as sample:
        found = records_of(sample, "talks")
    files = {sample_id.rpartition(":")[0].rpartition("-")[2] for sample_id in found}
    assert 24 <= len(found) <= 32 and len(files) == 7
    assert {"a.parquet", "s.parquet"} <= files


def test_a_configs_own_limit_holds() -> None:
    write_all(40)
    values = config()
    values["sources"]["talks"]["limit"] = 5
    with rehearsal(experiment(values), RESULTS, 30) as sample:
        assert len(records_of(sample, "talks")) == 5


def test_one_broken_part_spoils_no_other() -> None:
    write_talks([talk(number) for number in range(20)], "good")
    write_talks([{"pictures": 1}], "wrong")
    write_photos(3)
    with rehearsal(experiment(), RESULTS, 20) as sample:
        source = sample.source("talks")
        assert len(source.records) == 1 and len(source.codes) == 1
        assert "wrong.parquet: it has no column 'texts'; its columns are pictures" in source.errors[0]


def test_it_leaves_nothing_behind() -> None:
    write_all(20)
    before = sorted(Path().rglob("*"))
    with rehearsal(experiment(), RESULTS, 16) as sample:
        mixed = experiment().mixtures["mixed"]
        assert all((sample.results / sample.pack("mixed", part) / "manifest.json").is_file() for part in mixed.parts)
        folder = sample.results
    assert not folder.exists()
    assert sorted(Path().rglob("*")) == before


def test_a_tokenizer_that_was_made_before_is_taken_and_another_is_not() -> None:
    write_all(20)
    with rehearsal(experiment(), RESULTS, 20) as first:
        learned = first.results / first.text_tokenizer
        assert first.made_before("text") is None
        kept = RESULTS / "tokenizers" / learned.name
        kept.parent.mkdir(parents=True)
        learned.rename(kept)
    with rehearsal(experiment(), RESULTS, 16) as second:
        assert second.made_before("text") == kept
        assert (second.results / second.text_tokenizer).resolve() == kept.resolve()
    values = config()
    values["tokenizers"]["text"]["vocabulary_size"] = 310
    with rehearsal(experiment(values), RESULTS, 16) as third:
        assert third.made_before("text") is None

"""What `check` says of data that are as they should be, and of every way in which they are not."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.look.small import CODEBOOK, CODES, config, experiment, talk, write_all, write_photos, write_talks
from tests.tokenizers.published import SHAPE, some_vqgan, write_taming_folder
from unix_lib.commands import check
from unix_lib.commands.check_config import of_config
from unix_lib.look.findings import Finding
from unix_lib.look.rehearsal import rehearsal
from unix_lib.look.source_findings import of_source
from unix_lib.look.token_findings import of_part, of_tokenizers

RESULTS = Path("results/small")


def found(values: dict[str, Any] | None = None) -> list[Finding]:
    """All findings, as the command has them."""
    own = experiment(values)
    with rehearsal(own, RESULTS, 30) as sample:
        return list(check.findings(own, Path("config/small.yaml"), sample))


def at(findings: list[Finding], level: str) -> list[str]:
    return [str(finding) for finding in findings if finding.level == level]


def lines(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A config with a third source of lines, which are written, the only one that is packed."""
    write_all(20)
    Path("data/lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = config()
    values["sources"]["lines"] = {"kind": "jsonl", "files": ["data/lines.jsonl"]}
    values["pack"]["mixtures"]["mixed"]["parts"] = [{"source": "lines"}]
    return values


def test_of_good_data_nothing_is_wrong_and_what_is_not_trained_is_open() -> None:
    write_all(40)
    findings = found()
    assert at(findings, "wrong") == at(findings, "look") == []
    assert [line.partition(":")[0] for line in at(findings, "open")] == ["tokenizers.text", "tokenizers.image"]
    told = "\n".join(at(findings, "ok"))
    assert "sources.talks: 30 records can be read: 30 conversation" in told
    assert "sources.photos: 30 images come to 16 x 16 pixels" in told
    assert "image conversation: " in told and "(median of 30; " in told and "every sample carries loss" in told


def test_a_sample_set_aside_is_to_be_looked_at_and_many_are_wrong() -> None:
    write_photos(20)
    rows = [talk(number) for number in range(40)]
    rows[3]["images"][0]["bytes"] = rows[3]["images"][0]["bytes"][:60]
    write_talks(rows)
    assert at(found(), "wrong") == []
    of_image, of_pack = at(found(), "look")
    assert of_image.startswith("sources.talks: 1 of 30 images would be set aside: 1 x truncated image")
    assert "1 of 30 samples would be left out: 1 x no_image_codes" in of_pack and "pack.length" not in of_pack
    for row in rows[10:20]:
        row["texts"] = None
    write_talks(rows)
    [line] = at(found(), "wrong")
    assert "10 of 30 samples would be set aside: 10 x turns that can't be read, first data/talks/a.parquet:11: " in line


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    write_photos(20)
    write_talks([{"pictures": 1, "texts": talk(0)["texts"]}] * 20)
    told = at(found(), "wrong")
    assert any("has no column 'images'; its columns are pictures, texts" in line for line in told)


def test_what_is_longer_than_a_pack_is_counted() -> None:
    write_photos(20)
    write_talks([talk(number, answer="word " * (200 if number % 2 else 1)) for number in range(40)])
    told = at(found(), "wrong")
    assert any("longer_than_pack" in line and "raise pack.length 128" in line for line in told)
    write_talks([talk(number, answer="word " * 200) for number in range(40)])
    assert any("no training pack" in line for line in at(found(), "wrong"))


def test_samples_that_are_all_question_carry_no_loss_worth_training() -> None:
    write_photos(20)
    write_talks([talk(number, question="why " * 900, answer="a") for number in range(30)])
    values = config()
    values["pack"]["length"] = 4096
    assert any("of all tokens are trained" in line for line in at(found(values), "wrong"))


def test_marks_of_images_in_texts_are_found() -> None:
    write_photos(20)
    write_talks([talk(number, question="<image>\nWhat is it?") for number in range(30)])
    assert any("30 of 30 texts hold '<image>'" in line for line in at(found(), "wrong"))


@pytest.mark.parametrize(
    ("codes", "reason"), [([1] * (CODES - 1), "wrong_code_count"), ([CODEBOOK] * CODES, "code_out_of_range")]
)
def test_codes_that_do_not_fit_are_found(codes: list[int], reason: str) -> None:
    rows = [{"data_type": "t2i", "text": f"number {n}", "vqcode_512": [n % CODEBOOK] * CODES} for n in range(20)]
    assert at(found(lines(rows)), "wrong") == []
    assert any("20 images came as 16 codes below 24" in line for line in at(found(lines(rows)), "ok"))
    broken = [{**row, "vqcode_512": codes} for row in rows[10:]]
    findings = found(lines([*rows[:10], *broken]))
    assert any(f"1 of 11 images would be set aside: 1 x {reason}" in line for line in at(findings, "look"))
    assert any("10 of 20 samples would be left out: " in line for line in at(findings, "wrong"))


def test_a_pretrained_image_tokenizer_is_tried_and_one_that_is_no_such_thing_is_wrong() -> None:
    write_all(20)
    write_taming_folder(Path("published"), some_vqgan())
    values = config()
    values["tokenizers"]["image"] = {"kind": "pretrained", "shape": SHAPE.model_dump(), "path": "published"}
    lines = {line.partition(": ")[0]: line for line in map(str, found(values)) if "come back from their codes" in line}
    assert lines.keys() == {"sources.talks", "sources.photos"}
    assert all(" 8 images come back from their codes with " in line for line in lines.values())
    values["tokenizers"]["image"]["shape"]["codebook_size"] = 23
    [line] = at(found(values), "wrong")
    assert line.startswith("tokenizers.image: ") and "23" in line


def test_vocabularies_that_do_not_fit_are_found() -> None:
    write_all(20)
    values = config()
    values["tokenizers"]["padded_text_vocabulary"] = 100
    [line] = at(found(values), "wrong")
    assert "padded_text_vocabulary 100 is smaller" in line


@pytest.mark.parametrize("path", ["/path/to/*.parquet", "data/TODO/*.parquet", "<folder>/a.parquet", "your-data/*"])
def test_what_is_left_to_be_filled_in_is_found(path: str) -> None:
    write_all(20)
    values = config()
    values["sources"]["talks"]["files"] = [path]
    told = at(list(of_config(experiment(values), Path("config/small.yaml"))), "wrong")
    assert told == [f"sources.talks.files: '{path}' stands for something else; write what is meant"]


def test_what_is_not_there_is_found_and_absolute_patterns_are_looked_at(folder: Path) -> None:
    write_all(20)
    values = config()
    values["sources"]["talks"]["files"] = [f"{folder}/data/talks/*.parquet"]
    assert at(list(of_config(experiment(values), Path("c.yaml"))), "wrong") == []
    values["sources"]["talks"]["files"] = [f"{folder}/data/lost/*.parquet"]
    [line] = at(list(of_config(experiment(values), Path("c.yaml"))), "wrong")
    assert "no such file or folder" in line
    with rehearsal(experiment(values), RESULTS, 16) as sample:
        assert any("matches no file" in str(finding) for finding in of_source(sample, "talks"))
        assert list(of_part(sample, "mixed", experiment(values).mixtures["mixed"].parts[0])) == []


def test_a_mixture_without_images_is_to_be_looked_at() -> None:
    values = lines([{"data_type": "text", "text": f"number {number}"} for number in range(20)])
    values["pack"]["mixtures"]["mixed"]["parts"][0]["kinds"] = ["text"]
    assert any("learns text only" in line for line in at(found(values), "look"))


def test_a_config_without_packs_is_checked_too() -> None:
    write_all(20)
    own = experiment(config(tokenizers={}, pack=None))
    with rehearsal(own, RESULTS, 16) as sample:
        assert list(of_tokenizers(sample)) == []
        assert {finding.level for finding in of_source(sample, "photos")} == {"ok"}


def test_the_command_says_by_its_exit_whether_something_is_wrong(folder: Path) -> None:
    write_all(20)
    path = folder / "small.yaml"
    path.write_text(json.dumps(config()))
    shown = Console(file=io.StringIO(), width=200)
    assert check.run(path, 16, shown) == 0
    (folder / "data" / "photos.jsonl").unlink()
    assert check.run(path, 16, shown) == 1
    assert isinstance(shown.file, io.StringIO)
    assert "source photos: data/photos.jsonl: no such file or folder" in shown.file.getvalue()

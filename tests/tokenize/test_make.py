"""The tokenize stage from records on disk to tokens on disk, killed and damaged."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerFast

from tests.artefacts.damage import DAMAGES, damage
from tests.jobs.making import make_job
from tests.pack.experiment import Experiment, conversation_record, image_record, text_record, write_source
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.tokenize import TokenizeSettings
from unix_lib.jobs.job import Job
from unix_lib.records.shards import read_split
from unix_lib.tokenize import make
from unix_lib.tokenize.flags import without_flags
from unix_lib.tokenize.make import make_tokens

RECORDS = 3500  # in batches of 1,024: four, the last not full


def tokens_job(experiment: Experiment, source: str, **settings: Any) -> Job[Any, Any]:
    inputs = {"records": source, "text_tokenizer": experiment.text_tokenizer}
    given = TokenizeSettings.model_validate({"template": "ours"} | settings)
    return make_job(experiment.results, "tokenize", source.split("/")[1].rsplit("-", 1)[0], "tokens", given, inputs)


def test_every_record_is_tokenized_or_set_aside(experiment: Experiment, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [image_record(1), text_record(1), text_record(2) | {"text": ""}, conversation_record(3)]
    source = write_source(experiment.results, "kinds", rows, [text_record(9), text_record(10) | {"text": " "}])
    job = tokens_job(experiment, source.records)
    manifest: Manifest = job.make()
    assert manifest.rejected == {"empty_text": 2}
    rejected = pq.read_table(job.folder / "rejected.parquet").to_pylist()
    assert {(row["sample_id"], row["origin"]) for row in rejected} == {("text-0002", "train"), ("text-0010", "heldout")}
    records = read_split(job.folder, "train").to_pylist()
    assert [row["sample_id"] for row in records] == ["image-0001", "text-0001", "talk-0003"]
    assert manifest.facts["train"] == {"records": 3, "text_tokens": sum(len(row["tokens"]) for row in records)}
    talk, _ = without_flags(np.array(records[-1]["tokens"], dtype=np.int32))
    assert tokenizer.decode(talk).startswith("What is in picture 3?\n")


@pytest.fixture(scope="module")
def killed(experiment: Experiment) -> tuple[str, str]:
    """A source of several chunks, and the digest of its tokens."""
    rows = [text_record(number % 50) | {"sample_id": f"{number}"} for number in range(RECORDS)]
    source = write_source(experiment.results, "long", rows, [text_record(1)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(make, "CHUNK_BATCHES", 1)
        return source.records, tokens_job(experiment, source.records).make().digest


def made_after_a_kill(
    experiment: Experiment, source: str, monkeypatch: pytest.MonkeyPatch, hurt: tuple[str, str] | None = None
) -> tuple[Manifest, list[Path], Job[Any, Any]]:
    """The manifest after a job was killed in its third chunk, and the chunks that were made, those before included."""
    job = tokens_job(experiment, source)
    for path in job.folder.iterdir():
        path.unlink()
    monkeypatch.setattr(make, "CHUNK_BATCHES", 1)
    tokenize, made = make._tokenize, list[Path]()

    def killed_in_the_third(*arguments: Any) -> None:
        made.append(arguments[-1])
        if len(made) == 3:
            raise KeyboardInterrupt
        tokenize(*arguments)

    monkeypatch.setattr(make, "_tokenize", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        make_tokens(job)
    assert not (job.folder / "manifest.json").exists()
    if hurt is not None:
        damage(job.work / "train-000001" / hurt[0], hurt[1])
    manifest = make_tokens(job)
    return manifest, made, job


def test_a_killed_job_repeats_one_chunk(
    experiment: Experiment, killed: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, made, job = made_after_a_kill(experiment, killed[0], monkeypatch)
    assert manifest.digest == killed[1]
    names = [f".train-{number:06d}" for number in (0, 1, 2, 2, 3)]
    assert [path.name for path in made] == [*names, ".heldout-000000"]
    assert not job.work.exists()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", ["records.parquet", "rejected.parquet", "hashes.json"])
def test_a_damaged_chunk_is_tokenized_again(  # noqa: PLR0917
    experiment: Experiment,
    killed: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    file: str,
    how: str,
) -> None:
    manifest, made, _ = made_after_a_kill(experiment, killed[0], monkeypatch, (file, how))
    assert manifest.digest == killed[1]
    assert [path.name for path in made].count(".train-000001") == 2
    assert "damaged, and computed again: " in caplog.text

"""A source's records, made by a test, and the job that translates them."""

from pathlib import Path
from typing import Any

from tests.jobs.making import make_job
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.config.translate import TranslatedRecords, TranslateExecution
from unix_lib.jobs.job import Job
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, RECORD, TEXT, Row
from unix_lib.records.shards import SPLITS, ShardWriter, iterate_rows

SOURCE = "sources/photos-000000000000"


def records(count: int) -> list[Row]:
    """Captions, texts and conversations, with tokens and placeholders among the words."""
    rows: list[Row] = []
    for number in range(count):
        common = {"sample_id": f"sample-{number}", "source": "photos"}
        match number % 3:
            case 0:
                caption = f"<image>\nA red dog, number {number}, by {{name}}"
                rows.append({"kind": IMAGE_TEXT, "text": caption, "image_ids": [f"image-{number}"]} | common)
            case 1:
                rows.append({"kind": TEXT, "text": f"Some words <|im_end|> of the text {number}."} | common)
            case _:
                turns = [("user", f"Is {number} a dog? Please answer yes or no."), ("assistant", "yes")]
                messages = [{"role": role, "content": content} for role, content in turns]
                rows.append({"kind": CONVERSATION, "messages": messages, "image_ids": [f"image-{number}"]} | common)
    return rows


def write_source(results: Path, rows: list[Row]) -> str:
    """The artefact of a source: every tenth row is held out."""
    folder = results / SOURCE
    files: dict[str, int | None] = {}
    for split in SPLITS:
        with ShardWriter(folder, split, RECORD) as writer:
            for number, row in enumerate(rows):
                if (number % 10 == 9) == (split == "heldout"):
                    writer.write(row)
        files |= writer.files
    write_manifest(folder, "0" * 64, files)
    return SOURCE


def translation_job(results: Path, source: str, url: str | None, answers: Path, **settings: Any) -> Job[Any, Any]:
    """The job of translation `photos-zh`."""
    wording = TranslatedRecords(translation="photos-zh", model="some-model", language="Chinese", **settings)
    execution = TranslateExecution.model_validate(
        {"endpoint": {"url": url, "concurrency": 4, "attempts": 12}, "answers": str(answers)}
    )
    return make_job(results, "translate", "photos-zh", "records", wording, {"records": source}, execution)


def rows_of(folder: Path) -> list[Row]:
    """Rows of both splits."""
    return [row for split in SPLITS for row in iterate_rows(folder, split)]

"""Makes the records of a source in place: what its rows say, joined with the images that they show."""

from collections.abc import Iterator
from sys import intern

import pyarrow.parquet as pq

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import IMAGE_TEXT, RECORD, Row
from unix_lib.records.shards import ShardWriter
from unix_lib.records.tables import TableRow
from unix_lib.sources.errors import BadRow
from unix_lib.sources.in_place.images import ImagesOfRows, rows_of
from unix_lib.sources.in_place.settings import PlannedRecords
from unix_lib.sources.rows import TakenRows, require_usable
from unix_lib.sources.screening.screened import screened_out
from unix_lib.sources.writing import finish

SET_ASIDE = "image set aside"
NO_IMAGE = "caption without image"


def make_records(job: Job[PlannedRecords, Execution]) -> Manifest:
    """Make a part of `sources/<source>`: the records of its rows.

    What is wrong with an image is told by the images' job; here its row is set aside.

    Raises:
        SourceError: there is no usable row.
    """
    settings, rejected = job.settings, RejectedSamples()
    reader = settings.reader
    rows = TakenRows(settings, job.outside, rejected)
    folders = job.inputs("images")
    shown = ImagesOfRows(folders, settings.named_files(job.outside).values())
    screened = screened_out(job.inputs("screening"))
    spoilt: dict[str, str] = {}
    for folder in folders:
        with pq.ParquetFile(folder / REJECTED_FILE) as file:
            for batch in file.iter_batches(columns=["sample_id", "reason", "detail"]):
                for sample_id, reason, detail in zip(*batch.to_pydict().values(), strict=True):
                    spoilt[sample_id] = intern(": ".join(filter(None, (reason, detail))))

    def records(file: str, place: str, row: TableRow) -> Iterator[tuple[str, Row]]:
        """(split, record) of a row."""
        split, ids = shown.of(file, row.number)
        for spoilt_part in (place, file):  # the row's image, or all of the file's
            if spoilt_part in spoilt:
                raise BadRow(SET_ASIDE, spoilt[spoilt_part])
        for name in ids:
            if name in screened:
                raise BadRow(SET_ASIDE, screened[name])
        drafts = reader.drafts(row.values, settings, place)
        for number, draft in enumerate(drafts):
            if draft.kind == IMAGE_TEXT and not ids:
                raise BadRow(NO_IMAGE)
            held_out = split == "heldout" if ids else settings.held_out.holds_out(draft.content)
            record = {
                "sample_id": place + (f"#{number}" if number else ""),
                "kind": draft.kind,
                "text": draft.text,
                "messages": draft.messages,
                "image_ids": ids or None,
                "source": settings.source,
            }
            yield "heldout" if held_out else "train", record

    with ShardWriter(job.folder, "train", RECORD) as train, ShardWriter(job.folder, "heldout", RECORD) as heldout:
        for file, place, row in rows_of(rows, reader, reader.text_columns(settings)):
            try:
                of_row = list(records(file, place, row))
            except BadRow as fault:
                rejected.add(place, place, fault.reason, fault.detail, cause=fault.__cause__)
                continue
            for split, record in of_row:
                (heldout if split == "heldout" else train).write(record)
    require_usable(
        job,
        train.rows + heldout.rows,
        rows,
        rejected,
        what=f"row in {settings.files_described()}",
        remedy="mend the files, or correct files, columns and filter",
        reasons=[f"the first: {rejected.first}"] * bool(rejected.first),
    )
    facts = {"train_records": train.rows, "heldout_records": heldout.rows} | rows.facts
    return finish(job, {**train.files, **heldout.files}, facts, rejected)

"""A checkpoint's loss on each held-out document: of the documents of `heldout_loss`, which says what they are."""

import hashlib

import pyarrow as pa

from unix_lib.analyze.heldout_loss import heldout_sums
from unix_lib.analyze.heldout_loss_kind import HeldoutLossSettings
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.evaluate.tables import ORIGIN, origin_of, write_table
from unix_lib.jobs.job import Job
from unix_lib.records.schema import Row

DOCUMENT_LOSSES_TABLE = "document_losses.parquet"
DOCUMENT_LOSSES = pa.schema(
    [
        *ORIGIN,
        pa.field("source", pa.string()),
        pa.field("document", pa.string()),  # of its tokens: the same for all checkpoints that saw it
        pa.field("loss_text", pa.float64()),  # nats, summed over the targets
        pa.field("loss_image", pa.float64()),
        pa.field("targets_text", pa.int64()),
        pa.field("targets_image", pa.int64()),
    ]
)


def make_document_losses(job: Job[HeldoutLossSettings, Execution]) -> Manifest:
    """Make `analyze/document_losses-<run>-step-<step>`; a source without held-out documents has no row."""
    origin, rows = vars(origin_of(job.input("checkpoint"))), list[Row]()
    for source, documents, sums in heldout_sums(job):
        for document, (text, image, of_text, of_image) in zip(documents, sums.tolist(), strict=True):
            name = hashlib.sha256(document.input_ids.tobytes()).hexdigest()[:16]
            losses = {"loss_text": text, "loss_image": image}
            targets = {"targets_text": int(of_text), "targets_image": int(of_image)}
            rows.append(origin | {"source": source, "document": name} | losses | targets)
    return job.finish({DOCUMENT_LOSSES_TABLE: write_table(rows, DOCUMENT_LOSSES, job.folder / DOCUMENT_LOSSES_TABLE)})

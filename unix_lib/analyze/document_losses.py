"""A checkpoint's loss on each held-out document: of the documents of `heldout_loss`, which says what they are."""

import hashlib
import logging

import pyarrow as pa
import torch

from unix_lib.analyze.heldout_loss import document_sums, heldout_documents
from unix_lib.analyze.heldout_loss_kind import HeldoutLossSettings
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.evaluate.tables import ORIGIN, origin_of, write_table
from unix_lib.jobs.job import Job
from unix_lib.models.checkpoint import load_model
from unix_lib.records.schema import Row
from unix_lib.tokenizers.image import device_of

logger = logging.getLogger(__name__)

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
    checkpoint, pack = job.input("checkpoint"), job.input("pack")
    device = torch.device(device_of(job.shape))
    model = load_model(checkpoint / "model", torch.float32)
    model.eval().to(device)
    origin, rows = vars(origin_of(checkpoint)), list[Row]()
    for source, documents in heldout_documents(pack, job.settings).items():
        for document in documents:
            text, image, of_text, of_image = document_sums(model, document, device)
            name = hashlib.sha256(document.input_ids.tobytes()).hexdigest()[:16]
            losses = {"loss_text": text, "loss_image": image}
            targets = {"targets_text": int(of_text), "targets_image": int(of_image)}
            rows.append(origin | {"source": source, "document": name} | losses | targets)
        logger.info("'%s': %d held-out documents", source, len(documents))
    return job.finish({DOCUMENT_LOSSES_TABLE: write_table(rows, DOCUMENT_LOSSES, job.folder / DOCUMENT_LOSSES_TABLE)})

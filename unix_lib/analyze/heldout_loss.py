"""A checkpoint's loss on held-out documents, of each source and modality.

Training measures whole packs, in which all sources are one. Here a document is a forward pass of its own, so that each
loss has its source and, over documents, a standard error. A document's loss does not depend on its pack.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from unix_lib.analyze.heldout_loss_kind import HeldoutLossSettings
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.config.jobs import Execution
from unix_lib.evaluate.intervals import error_of_ratio
from unix_lib.evaluate.tables import ORIGIN, null_for_nan, origin_of, write_table
from unix_lib.jobs.job import Job
from unix_lib.models.checkpoint import load_model
from unix_lib.models.routing import Documents, build_batch, move_batch
from unix_lib.pack.reader import HELDOUT_FILE, PackReader
from unix_lib.records.schema import Row
from unix_lib.tokenizers.image import device_of
from unix_lib.train.heldout import loss_sums

logger = logging.getLogger(__name__)

HELDOUT_LOSS_TABLE = "heldout_loss.parquet"
MODALITIES = ("text", "image")
HELDOUT_LOSS = pa.schema(
    [
        *ORIGIN,
        pa.field("source", pa.string()),
        pa.field("modality", pa.string()),  # of the targets: text | image
        pa.field("loss", pa.float64()),  # nats per target
        pa.field("standard_error", pa.float64()),  # over documents; null of a single one
        pa.field("documents", pa.int64()),  # with such targets
        pa.field("targets", pa.int64()),
    ]
)


def make_heldout_loss(job: Job[HeldoutLossSettings, Execution]) -> Manifest:
    """Make `analyze/heldout_loss-<run>-step-<step>`; a source without held-out documents has no row."""
    origin, rows = vars(origin_of(job.input("checkpoint"))), list[Row]()
    for source, _, sums in heldout_sums(job):
        for place, modality in enumerate(MODALITIES):
            losses, targets = sums[:, place], sums[:, place + 2]
            if targets.any():
                rows.append(origin | {"source": source, "modality": modality} | mean_loss(losses, targets))
    return job.finish({HELDOUT_LOSS_TABLE: write_table(rows, HELDOUT_LOSS, job.folder / HELDOUT_LOSS_TABLE)})


def heldout_sums(job: Job[HeldoutLossSettings, Execution]) -> Iterator[tuple[str, list[Documents], np.ndarray]]:
    """Each source's held-out documents and float64 (D, 4): summed losses of text and image targets, their numbers."""
    device = torch.device(device_of(job.shape))
    model = load_model(job.input("checkpoint") / "model", torch.float32)
    model.eval().to(device)
    for source, documents in heldout_documents(job.input("pack"), job.settings).items():
        yield source, documents, np.array([_sums(model, document, device) for document in documents]).reshape(-1, 4)
        logger.info("'%s': %d held-out documents", source, len(documents))


def heldout_documents(pack: Path, settings: HeldoutLossSettings) -> dict[str, list[Documents]]:
    """Held-out documents of each source of a mixture, from packs in a seeded order."""
    records = read_manifest(pack).facts["records"]["heldout"]
    sources = [part["source"] for part in recipe_of(pack).settings["parts"]]  # in the order of their records
    ends = np.cumsum([records[source] for source in sources])
    reader = PackReader(pack, [HELDOUT_FILE])
    wanted = {source: min(count, settings.documents) for source, count in records.items()}
    found: dict[str, list[Documents]] = {source: [] for source in sources}
    for index in np.random.default_rng(settings.seed).permutation(len(reader)).tolist():
        of_pack = [sources[place] for place in np.searchsorted(ends, reader.records(index), side="right")]
        chosen = [place for place, source in enumerate(of_pack) if len(found[source]) < wanted[source]]
        if not chosen:
            continue
        whole = reader[index]
        begins = np.cumsum(whole.document_lengths) - whole.document_lengths
        for place in chosen:
            if len(found[of_pack[place]]) < wanted[of_pack[place]]:
                own = slice(begins[place], begins[place] + whole.document_lengths[place])
                document = Documents.of([whole.input_ids[own].tolist()], [whole.loss_mask[own].tolist()])
                found[of_pack[place]].append(document)
        if all(len(found[source]) == wanted[source] for source in sources):
            break
    return found


def mean_loss(losses: np.ndarray, targets: np.ndarray) -> Row:
    """Loss per target and its standard error.

    Args:
        losses, targets: float64 (D,), each document's summed loss and number of targets, which may be none.
    """
    losses, targets = losses[targets > 0], targets[targets > 0]
    loss, count = losses.sum() / targets.sum(), len(targets)
    measured = {"loss": float(loss), "standard_error": null_for_nan(error_of_ratio(losses, targets))}
    return measured | {"documents": count, "targets": int(targets.sum())}


def _sums(model: Any, document: Documents, device: torch.device) -> list[float]:
    with torch.no_grad():
        output = model(**move_batch(build_batch([document], model.config), device))
    sums: list[float] = loss_sums(output).tolist()
    return sums

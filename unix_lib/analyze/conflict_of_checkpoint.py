"""Measures the gradient conflict of a checkpoint on documents of a mixture: from two folders to tables."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch

from unix_lib.analyze.conflict import inner_products
from unix_lib.analyze.conflict_cosines import conflict_table
from unix_lib.analyze.conflict_documents import document_rounds, packed_documents, sample_chunks
from unix_lib.analyze.conflict_kind import ConflictMeasurement
from unix_lib.analyze.conflict_precision import leave_one_out
from unix_lib.analyze.conflict_rounds import measured_in_rounds
from unix_lib.analyze.errors import AnalysisError
from unix_lib.artefacts.manifest import Facts
from unix_lib.config.jobs import JobShape
from unix_lib.models.checkpoint import load_model
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.image import device_of

MEMORY_SHARE = 0.5  # of the job's memory that chunk gradients may take


@dataclass(frozen=True)
class MeasuredConflict:
    """What is known of a checkpoint; `precision` where the measurement asks for reliability or a breakdown."""

    table: pa.Table  # `CONFLICT_COLUMNS`
    precision: pa.Table | None  # `LEAVE_ONE_OUT_COLUMNS`
    facts: Facts


def conflict_of_checkpoint(
    model_folder: Path, pack_folder: Path, settings: ConflictMeasurement, shape: JobShape, work: Path
) -> MeasuredConflict:
    """Measure a checkpoint on documents of a mixture.

    Args:
        work: folder of what a killed measurement in rounds resumes from.

    Raises:
        ModelError: a checkpoint that is not what its config says.
        AnalysisError: too few documents of a modality.
    """
    device = torch.device(device_of(shape))
    model = load_model(model_folder, torch.float32)
    model.eval().to(device)
    packs = packed_documents(PackReader(pack_folder), settings.seed, every_epoch=settings.every_epoch)
    memory = int(shape.memory_mb * 1e6 * MEMORY_SHARE)
    if settings.reliability is None:
        chunks = sample_chunks(packs, model.config, settings.documents, settings.chunks, settings.seed)
        products = list(inner_products(model, chunks, memory, breakdown=settings.breakdown))
        facts: Facts = {"documents_per_modality": chunks.documents}
    else:
        size = settings.round_documents
        rounds = document_rounds(packs, model.config, size, settings.chunks, settings.documents // size * size)
        products, count, reliability = measured_in_rounds(model, rounds, settings, memory, work)
        if not products:
            raise AnalysisError(
                f"the mixture has no {size} documents of both modalities for a first round; give "
                "analyze.conflict.mixture a mixture with both, or lower analyze.conflict.round_documents"
            )
        facts = {"documents_per_modality": count * size, "reliability": reliability}
    table = conflict_table(products, settings.chunks, settings.splits, settings.seed)
    precise = settings.reliability is not None or settings.breakdown
    return MeasuredConflict(table, leave_one_out(products) if precise else None, facts)

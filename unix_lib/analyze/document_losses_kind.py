"""The analysis `document_losses`: a checkpoint's loss on each held-out document, to compare checkpoints in pairs."""

from typing import Literal

from unix_lib.analyze.heldout_loss_kind import HeldoutAnalysis, HeldoutLossSettings
from unix_lib.config.analyze import AnalysisKind
from unix_lib.config.kinds import JobKind


class DocumentLossesAnalysis(HeldoutAnalysis):
    """Loss on each held-out document of the checkpoints of some runs; the figure `outcomes` compares them."""

    kind: Literal["document_losses"]


KIND = AnalysisKind(
    settings=DocumentLossesAnalysis,
    job=JobKind(HeldoutLossSettings, "unix_lib.analyze.document_losses:make_document_losses", 1),
)

"""Config of the `analyze` stage: gradient conflict and conditional entropy."""

from pydantic import model_validator

from unix_lib.config.jobs import JobShape
from unix_lib.config.strict import StrictModel, key


class ConflictAnalysis(StrictModel):
    """Gradient conflict c = -(S_inter - S_base) per layer and projection."""

    # PAPER: 1000 samples, the seven projections of a layer.
    mixture: str = key("mixture whose documents are sampled")
    runs: list[str] = key("runs analysed; empty takes every compared run", [], kind="operational")
    steps: list[int] = key(
        "checkpoint steps analysed, of every one of these runs; empty takes all but 0", [], kind="operational"
    )
    documents: int = key("documents per modality", 500, ge=4)
    chunks: int = key(
        "chunks each modality's documents are cut into; random splits recombine them", 8, ge=4, multiple_of=4
    )
    splits: int = key("random splits behind the spread", 20, ge=2)
    seed: int = key("seed of the documents and of the splits", 218, ge=0)

    @model_validator(mode="after")
    def _chunks_hold_documents(self) -> "ConflictAnalysis":
        if self.documents < self.chunks:
            raise ValueError(
                f"documents {self.documents} can't be cut into {self.chunks} chunks; raise documents or lower chunks"
            )
        return self


class EntropyAnalysis(StrictModel):
    """Conditional n-gram entropy of text tokens and image codes at one token budget."""

    sources: list[str] = key("sources compared", min_length=1)
    orders: int = key("largest n", 5, ge=1, le=5)
    budget: int = key("tokens taken from each source; a smaller source lowers it for all", 1_000_000, ge=100)
    sample_sizes: int = key("points of the curve over sample size", 6, ge=2)
    seed: int = key("seed of the order in which sequences enter the budget", 218, ge=0)


class AnalyzeConfig(StrictModel):
    """Both analyses."""

    conflict: ConflictAnalysis
    entropy: EntropyAnalysis
    job: JobShape = key("shape of an analysis job", JobShape(threads=1, runtime_minutes=240), kind="operational")

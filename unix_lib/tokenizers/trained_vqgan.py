"""The kind of image tokenizer `train_vqgan`: a small VQGAN trained on the experiment's images."""

from typing import Literal

from unix_lib.config.checkpoints import MOST_STEPS
from unix_lib.config.jobs import Execution
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.tokenizers import ImageTokenizerSettings, TokenizerKind, VQGANShape


class VQGANTraining(StrictModel):
    """What the tokenizer depends on beside its images."""

    shape: VQGANShape
    steps: int = key("optimizer steps", 600, ge=1, le=MOST_STEPS)
    batch_size: int = key("images a step", 32, ge=1, le=100_000)
    learning_rate: float = key("peak learning rate", 2e-3, gt=0)
    commitment_weight: float = key("weight of the commitment loss", 0.25, ge=0)
    seed: int = key("seed of the weights and of the batches", 218, ge=0, lt=2**64)

    def work(self) -> float:
        """Images that it is trained on."""
        return self.steps * self.batch_size


class VQGANExecution(Execution):
    """How the training is computed."""

    checkpoint_seconds: int = key(
        "seconds between saves that a killed job resumes from", 30, kind="operational", ge=1, le=604_800
    )


class TrainedImageTokenizer(VQGANTraining, ImageTokenizerSettings):
    """A small VQGAN trained on this experiment's images."""

    kind: Literal["train_vqgan"]
    sources: list[str] = key("sources whose training images it learns from", min_length=1)
    checkpoint_seconds: int = key(
        "seconds between saves that a killed job resumes from", 30, kind="operational", ge=1, le=604_800
    )

    def trained_on(self) -> list[str]:
        return self.sources


KIND = TokenizerKind(
    settings=TrainedImageTokenizer,
    job=JobKind(VQGANTraining, "unix_lib.tokenizers.image:make_trained_tokenizer", 1, VQGANExecution),
)

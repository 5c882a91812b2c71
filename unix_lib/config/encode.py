"""Config of the `encode` stage: images to VQGAN codes."""

from typing import Literal

from unix_lib.config.jobs import BatchedExecution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key

Precision = Literal["float32", "bf16"]


class EncodeExecution(BatchedExecution):
    """How images become codes; nothing here changes which codes they become, up to rounding."""

    compiled: bool = key(
        "compile the encoder first, which takes minutes and pays on GPUs", False, kind="numeric", sparse=True
    )


class EncodeSettings(StrictModel):
    """What codes depend on beside the images and the image tokenizer."""

    precision: Precision = key(
        "what the encoder computes in; with bf16, for GPUs, some codes are others; distances to codes stay in float32",
        "float32",
        sparse=True,
    )


class EncodeConfig(EncodeSettings, EncodeExecution):
    """How images become codes."""

    job: JobShape = key("shape of an encode job", JobShape(threads=1, runtime_minutes=240), kind="operational")


CODES = JobKind(EncodeSettings, "unix_lib.encode.make:make_codes", 1, EncodeExecution)

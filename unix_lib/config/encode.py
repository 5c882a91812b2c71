"""Config of the `encode` stage: images to VQGAN codes."""

from unix_lib.config.jobs import BatchedExecution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class EncodeExecution(BatchedExecution):
    """How images become codes; nothing here changes which codes they become, up to rounding."""


class EncodeSettings(StrictModel):
    """What codes depend on beside the images and the image tokenizer."""


class EncodeConfig(EncodeSettings, EncodeExecution):
    """How images become codes."""

    job: JobShape = key("shape of an encode job", JobShape(threads=1, runtime_minutes=240), kind="operational")


CODES = JobKind(EncodeSettings, "unix_lib.encode.make:make_codes", 1, EncodeExecution)

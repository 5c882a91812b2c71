"""Config of the `encode` stage: images to VQGAN codes."""

from unix_lib.config.jobs import JobShape
from unix_lib.config.strict import StrictModel, key


class EncodeConfig(StrictModel):
    """How images become codes; nothing here changes which codes they become, up to rounding."""

    batch_size: int = key("images a forward pass", 64, kind="numeric", ge=1)
    job: JobShape = key("shape of an encode job", JobShape(threads=1, runtime_minutes=240), kind="operational")

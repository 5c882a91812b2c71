"""The kind of source `digits`: the 1,797 scans of handwritten digits that scikit-learn ships, real images."""

from typing import Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.sources import HeldOut, SourceKind, SourceSettings
from unix_lib.config.strict import StrictModel, key


class DigitsImages(StrictModel):
    """What decides the pixels."""

    image_size: int = key("side of an image after enlargement, pixels", 32, ge=8, le=8192)


class PlannedDigits(DigitsImages):
    """Both jobs: also what is held out."""

    held_out: HeldOut = key("what is held out")

    def work(self) -> float:
        """Images."""
        return 1797


class DigitsSource(DigitsImages, SourceSettings):
    """The 1,797 scans of handwritten digits that scikit-learn ships: real images."""

    kind: Literal["digits"]

    def described(self) -> str:
        return "handwritten digits"


KIND = SourceKind(
    settings=DigitsSource,
    images=JobKind(PlannedDigits, "unix_lib.sources.digits.make:make_images", 2),
    records=JobKind(PlannedDigits, "unix_lib.sources.digits.make:make_records", 4),
)

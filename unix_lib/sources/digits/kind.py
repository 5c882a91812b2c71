"""The kind of source `digits`: the 1,797 scans of handwritten digits that scikit-learn ships, real images."""

from typing import Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.sources import SourceKind, SourceSettings
from unix_lib.config.strict import StrictModel, key


class DigitsImages(StrictModel):
    """What decides the pixels and the split."""

    image_size: int = key("side of an image after enlargement, pixels", 32, ge=8)
    heldout_share: float = key("share of the images held out", 0.1, gt=0, lt=1)
    seed: int = key("seed of the held-out split", 218)

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
    images=JobKind(DigitsImages, "unix_lib.sources.digits.make:make_images", 1),
    records=JobKind(DigitsImages, "unix_lib.sources.digits.make:make_records", 2),
)

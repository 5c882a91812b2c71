"""Reads how images are sampled from a checkpoint unless its user says otherwise, from a small file in its folder."""

from pathlib import Path

from pydantic import ValidationError

from unix_lib.artefacts.sealed import read_sealed
from unix_lib.checkpoints.errors import CheckpointError
from unix_lib.config.generate import SAMPLING, ImageSampling

REMEDY = "delete it to sample as the paper does"


def read_sampling(folder: Path) -> ImageSampling | None:
    """A checkpoint's sampling; None where it carries none, as a folder that was copied without it.

    Raises:
        CheckpointError: the file says something else than a sampling. SealError: it is damaged.
    """
    path = folder / SAMPLING
    try:
        return ImageSampling.model_validate(read_sealed(path, REMEDY))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise CheckpointError(f"{path}: no sampling settings ({error.errors()[0]['msg']}); {REMEDY}") from None

"""Reads how images are sampled from a checkpoint unless its user says otherwise, from a small file in its folder."""

import json
from pathlib import Path

from pydantic import ValidationError

from unix_lib.checkpoints.errors import CheckpointError
from unix_lib.config.generate import SAMPLING, ImageSampling


def read_sampling(folder: Path) -> ImageSampling | None:
    """A checkpoint's sampling; None where it carries none, as a folder that was copied without it.

    Raises:
        CheckpointError: the file says something else than a sampling.
    """
    path = folder / SAMPLING
    try:
        return ImageSampling.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(
            f"{path}: no sampling settings ({first}); delete it to sample as the paper does"
        ) from None

"""Errors of checkpoints' folders that a user can mend."""

from unix_lib.artefacts.errors import UserError


class CheckpointError(UserError):
    """A folder that is no finished checkpoint, or one without what its use needs."""


class NoImages(CheckpointError):
    """A checkpoint whose data had no images, where images are needed."""

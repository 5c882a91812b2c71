"""Errors of the train stage that a user can mend."""

from unix_lib.artefacts.errors import UserError


class TrainError(UserError):
    """A training job that can't start or go on."""


class Interrupted(TrainError):
    """Stopped on purpose before the segment's end, with everything saved; running it again continues."""

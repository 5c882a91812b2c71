"""What screening set aside, for those who leave it out."""

from collections.abc import Sequence
from pathlib import Path

from unix_lib.records.rejected import reasons_in


def screened_out(folders: Sequence[Path]) -> dict[str, str]:
    """Why images are set aside, by their names; of sources that are not screened there is no folder, and none."""
    return {name: reason for folder in folders for name, reason in reasons_in(folder).items()}

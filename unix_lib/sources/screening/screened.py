"""What screening set aside, for those who leave it out."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from unix_lib.records.rejected import REJECTED_FILE


def screened_out(folders: Sequence[Path]) -> dict[str, str]:
    """Why images are set aside, by their names; of sources that are not screened there is no folder, and none."""
    tables = [pq.read_table(folder / REJECTED_FILE, columns=["sample_id", "reason"]) for folder in folders]
    return {name: reason for table in tables for name, reason in zip(*table.to_pydict().values(), strict=True)}

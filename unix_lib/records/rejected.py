"""Keeps account of samples that are set aside: never fatal, never silent.

Each goes into `rejected.parquet`, which is written even when it is empty, with where it came from and one of a stage's
fixed reasons; the manifest carries the counts by reason.
"""

import logging
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.records.schema import REJECTED

REJECTED_FILE = "rejected.parquet"
LONGEST_DETAIL = 500  # characters; a corrupt row must not bloat the table

_log = logging.getLogger(__name__)


def encodable(text: str) -> str:
    """A text that UTF-8 can hold: what it can't, such as a byte of an undecodable file name, becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class RejectedSamples:
    """Collects rejected samples in the order in which they were met."""

    def __init__(self) -> None:
        self._rows: list[dict[str, str | None]] = []

    def add(
        self, sample_id: str, origin: str, reason: str, detail: str | None = None, *, cause: BaseException | None = None
    ) -> None:
        """Set one sample aside.

        Args:
            sample_id: the sample's id, or what stands for it when it has none yet.
            origin: file and row that it came from.
            reason: short and fixed, so that reasons can be counted.
            detail: what exactly was wrong, in words that repeat: none of another library's, no address, no time.
            cause: what was caught; its own words go to the log.
        """
        if cause is not None:
            _log.info("%s: %s (%s: %s)", encodable(origin), reason, type(cause).__name__, cause)
        detail = detail if detail is None else encodable(detail)[:LONGEST_DETAIL]
        self._rows.append(
            {"sample_id": encodable(sample_id), "origin": encodable(origin), "reason": reason, "detail": detail}
        )

    def extend(self, others: "RejectedSamples") -> None:
        """Set aside what was set aside elsewhere."""
        self._rows += others._rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[dict[str, str | None]]:
        """The samples by column, in the order in which they were met."""
        return list(self._rows)

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> samples, sorted by reason."""
        return dict(sorted(Counter(str(row["reason"]) for row in self._rows).items()))

    @property
    def first(self) -> str | None:
        """The first sample in a few words: where it came from, and what was wrong."""
        if not self._rows:
            return None
        row = self._rows[0]
        return f"{row['origin']}: {row['detail'] or row['reason']}"

    def write(self, folder: Path) -> dict[str, int]:
        """Write `rejected.parquet`; returns it with its rows, as `Job.finish` takes files."""
        table = pa.Table.from_pylist(self._rows, schema=REJECTED)
        with atomic_path(folder / REJECTED_FILE) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return {REJECTED_FILE: table.num_rows}

"""Rows that a job takes of a user's files: looked for, read one by one, filtered, drawn, limited, and counted.

Rows read are rows taken, rows left out and rows set aside. A file that is no table is set aside as a whole.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unix_lib.artefacts.manifest import Facts
from unix_lib.config.file_hashes import UNREADABLE
from unix_lib.config.filters import NotComparableError, passes
from unix_lib.config.folders import is_regular, matches
from unix_lib.config.hub_files import require_network
from unix_lib.config.outside import Outside
from unix_lib.config.row_files import PlannedRows
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.tables import TableError, TableRow, read_table
from unix_lib.sources.errors import SourceError

UNREADABLE_FILE = "unreadable file"
NO_TABLE = "not a table with the columns asked for"
MALFORMED = "malformed row"
NOT_COMPARABLE = "value that the filter can't compare"


_log = logging.getLogger(__name__)


class TakenRows:
    """The files of a job's part and the rows taken of them.

    Args:
        settings: which files, and which of their rows.
        outside: where the files were found, and what is known of them.
        rejected: gets what is set aside.

    Raises:
        SourceError: a pattern that matches no file.
    """

    def __init__(self, settings: PlannedRows, outside: Outside, rejected: RejectedSamples) -> None:
        self.settings, self.outside, self.rejected = settings, outside, rejected
        self._conditions = settings.conditions
        self.rows_read = self.rows_taken = self.rows_left_out = 0
        if settings.streaming:
            require_network(f"sources.{settings.source}")
        top = settings.top(outside.root)
        for pattern in () if settings.streaming else settings.files:  # those of a lock are known to name files
            if not matches(pattern, top):
                whose, remedy = f"below {top}", "correct it"
                if settings.repository is not None:
                    whose, remedy = f"of {settings.repository} in the hub's cache", "`unix-lib fetch` brings it"
                raise SourceError(f"sources.{settings.source}.files: '{pattern}' matches no file {whose}; {remedy}")

    @property
    def facts(self) -> Facts:
        """How many rows were read, and how many of them filter, fraction and limit left out."""
        return {"rows_read": self.rows_read, "rows_left_out": self.rows_left_out}

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached: what follows is not read."""
        return self.settings.limit is not None and self.rows_taken >= self.settings.limit

    def files(self) -> Iterator[tuple[Path, str]]:
        """The files, each with its name, up to where the limit is reached."""
        names = self.settings.named_files(self.outside)
        for path in self.settings.part(self.outside):
            if self.is_full:
                return
            file = self.settings.opened(path, names[path])
            if self._is_readable(file):
                yield file, names[path]
            else:
                what = "no file, a link that leads to none, no access, or a fault of the disk"
                self.rejected.add(names[path], names[path], UNREADABLE_FILE, what)

    def rows(
        self,
        path: Path,
        name: str,
        columns: Sequence[str],
        optional: Sequence[str] = (),
        read: Callable[[Path, Sequence[str], Sequence[str]], Iterator[TableRow]] = read_table,
    ) -> Iterator[tuple[str, TableRow]]:
        """(place, row) of the rows taken of a table; a place is `file:row` and repeats.

        Args:
            read: gives all rows of a file, of these columns and optional ones.

        Raises:
            SourceError: a fault of the disk in a file that could be read before.
        """
        wanted = [*dict.fromkeys([*columns, *self.settings.filtered_columns])]
        try:
            for row in read(path, wanted, [name for name in optional if name not in wanted]):
                place = f"{name}:{row.number}"
                if row.fault is not None:
                    self.rows_read += 1
                    self.rejected.add(place, place, MALFORMED, row.fault)
                elif self.takes(place, row.values):
                    yield place, row
                if self.is_full:
                    return
        except TableError as error:
            self.rejected.add(name, name, NO_TABLE, str(error))
        except OSError as error:
            raise SourceError(f"{name}: {error.strerror} while it was being read; run again") from None

    def takes(self, place: str, values: Mapping[str, Any]) -> bool:
        """Whether a row is taken; one that is not is counted, or set aside where the filter can't tell."""
        self.rows_read += 1
        try:
            taken = passes(values, self._conditions) and self.settings.draws(place)
        except NotComparableError as error:
            self.rejected.add(place, place, NOT_COMPARABLE, str(error))
            return False
        self.rows_taken += taken
        self.rows_left_out += not taken
        return taken

    def _is_readable(self, path: Path) -> bool:
        if self.settings.repository is None:
            return self.outside.hashes.of(path) != UNREADABLE
        # Of the hub's files nothing is hashed.
        return self.settings.streaming or (is_regular(path) and os.access(path, os.R_OK))

    def is_one_of_several_parts(self) -> bool:
        """Whether other jobs read more of the same files, so that a part without a usable row is no error."""
        parts = self.settings.file_parts(self.outside, whole=self.settings.one_job)
        return len(parts) > 1 or self.settings.shard > 0


def require_usable(
    job: Job[Any, Any],
    written: int,
    taken: TakenRows | None,
    rejected: RejectedSamples,
    *,
    what: str,
    remedy: str,
    reasons: Sequence[str] = (),
) -> None:
    """Refuse a source that came to nothing; of one of several parts it is said only, since others may have something.

    Args:
        written: records that the job wrote.
        taken: the rows that it took, where it reads rows.
        what: it has none of.
        reasons: why, beside what was set aside and left out.

    Raises:
        SourceError: says how much was set aside or left out, and why; the table of it is written.
    """
    if written:
        return
    why = [*(f"{count} x {reason}" for reason, count in rejected.counts.items()), *reasons]
    why += [f"{taken.rows_left_out} x left out by filter or fraction"] if taken and taken.rows_left_out else []
    source, told = job.settings.source, ", ".join(why) or "nothing was set aside"
    if taken is not None and taken.is_one_of_several_parts():
        _log.warning("sources.%s: no usable %s in part %d (%s)", source, what, job.settings.shard, told)
        return
    rejected.write(job.folder)
    raise SourceError(
        f"sources.{source}: no usable {what} ({told}); {remedy}; every rejected sample is in "
        f"{job.folder / REJECTED_FILE}"
    )

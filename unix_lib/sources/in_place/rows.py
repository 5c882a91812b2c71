"""The rows of a part of a source that its config takes, in order; the images' and the records' job take the same."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.config.filters import passes
from unix_lib.config.outside import Outside
from unix_lib.config.row_files import PlannedRows
from unix_lib.records.rejected import RejectedSamples, encodable
from unix_lib.records.tables import TableError, TableRow
from unix_lib.sources.errors import SourceError
from unix_lib.sources.in_place.samples import MALFORMED, Reader

UNREADABLE_FILE = "unreadable file"
FILTERED, NOT_DRAWN, BEYOND_LIMIT = "filtered_out", "not_drawn", "beyond_limit"


@dataclass(frozen=True)
class TakenRow:
    """A row, and what it is called."""

    file: str  # its name
    row: TableRow

    @property
    def key(self) -> str:
        return f"{self.file}:{self.row.number}"


@dataclass
class TakenRows:
    """Iterates over a part's rows; damaged ones are set aside, those that the config leaves out are counted.

    Attributes:
        left_out: rows by why the config leaves them out. Of those beyond a limit only the first is seen and counted.
    """

    settings: PlannedRows
    reader: Reader
    outside: Outside
    columns: Sequence[str]
    rejected: RejectedSamples
    left_out: Counter[str] = field(default_factory=Counter)
    seen: int = 0

    def __iter__(self) -> Iterator[TakenRow]:
        taken = 0
        names = self.settings.named_files(self.outside)
        for path in self.settings.part(self.outside):
            for row in self._of_file(path, encodable(names[path])):
                if self.settings.limit is not None and taken >= self.settings.limit:
                    self.left_out[BEYOND_LIMIT] += 1
                    return
                taken += 1
                yield row

    def _of_file(self, path: Path, name: str) -> Iterator[TakenRow]:
        try:
            for row in self._read(path):
                self.seen += 1
                of_file = TakenRow(name, row)
                fault, taken = row.fault, True
                try:
                    taken = fault is not None or passes(row.values, self.settings.conditions)
                except TypeError as error:
                    fault = str(error)
                if not taken:
                    self.left_out[FILTERED] += 1
                elif not self.settings.draws(of_file.key):
                    self.left_out[NOT_DRAWN] += 1
                elif fault is not None:
                    self.rejected.add(of_file.key, of_file.key, MALFORMED, fault)
                else:
                    yield of_file
        except TableError as error:
            self.rejected.add(name, name, UNREADABLE_FILE, str(error))
        except OSError as error:
            self.rejected.add(name, name, UNREADABLE_FILE, "no access, or a fault of the disk", cause=error)

    def _read(self, path: Path) -> Iterator[TableRow]:
        filtered = self.settings.filtered_columns
        wanted, optional = (self.columns, filtered) if not self.reader.may_lack else ([], [*self.columns, *filtered])
        return self.reader.rows(path, wanted, optional, filtered)

    def nothing_usable(self) -> SourceError:
        """The error of a part none of whose rows is usable."""
        reasons = [f"{count} x {reason}" for reason, count in self.rejected.counts.items()]
        reasons += [f"{count} x {reason.replace('_', ' ')}" for reason, count in self.left_out.items()]
        first = self.rejected.first
        return SourceError(
            f"sources.{self.settings.source}: no usable row in {self.settings.files_described()} "
            f"({', '.join(reasons) or 'no rows'}{'; the first: ' + first if first else ''}); mend the files, or "
            "correct files, columns and filter"
        )

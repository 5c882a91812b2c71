"""Counts what a job does, says now and then how it goes, and keeps the record that other processes read."""

import logging
import time

from unix_lib.jobs.standing import current_record

LOG_SECONDS = 10.0


class Progress:
    """How many things of a job are done; some were known before, by an earlier attempt, and took no time."""

    def __init__(self, total: int, unit: str, log: logging.Logger) -> None:
        """`unit` is what is counted, in the plural; `log` the logger of the module that counts."""
        self.total, self.unit, self.done, self._known = total, unit, 0, 0
        self._log, self._record = log, current_record()
        self._started = self._logged = time.monotonic()

    @property
    def anew(self) -> int:
        """Done by this attempt."""
        return self.done - self._known

    @property
    def seconds(self) -> float:
        """Since it began."""
        return max(1e-9, time.monotonic() - self._started)

    @property
    def per_second(self) -> float:
        """Things done by this attempt in a second."""
        return self.anew / self.seconds

    def advance(self, count: int, *, known: int = 0, values: dict[str, float] | None = None) -> None:
        """So many more are done, of which `known` took no time; `values` are shown beside them, the newest only."""
        self.done += count
        self._known += known
        now, ended = time.monotonic(), self.done == self.total
        left = (self.total - self.done) / self.per_second if self.anew else None
        if self._record is not None:
            self._record.note(self.done, self.total, self.unit, left, values)
        if left is not None and (now - self._logged >= LOG_SECONDS or ended):
            self._logged = now
            more = "".join(f", {name} {value:.4g}" for name, value in (values or {}).items())
            self._log.info(
                "%d of %d %s, %.3g/s, %.0f s left%s", self.done, self.total, self.unit, self.per_second, left, more
            )

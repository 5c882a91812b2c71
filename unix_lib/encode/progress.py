"""Counts images while they are encoded, and says now and then how it goes."""

import logging
import time

LOG_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Progress:
    """How many images are done, and how: encoded now, or known from before."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.encoded, self.taken_over = total, 0, 0, 0
        self._known = 0  # images that an earlier attempt, or another artefact, had
        self._started = self._logged = time.monotonic()

    @property
    def images_per_second(self) -> float:
        return self.encoded / max(1e-9, time.monotonic() - self._started)

    def advance(self, images: int, *, encoded: int = 0, known: int = 0, taken_over: int = 0) -> None:
        """So many more are done, some of them by being encoded; others were known, maybe from another artefact."""
        self.done += images
        self.encoded += encoded
        self._known += known
        self.taken_over += taken_over
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS or self.done == self.total:
            self._logged = now
            seconds = (now - self._started) / max(1, self.done - self._known)
            logger.info(
                "encode: %d of %d images, %.0f images/s, %.0f s left",
                self.done,
                self.total,
                self.images_per_second,
                seconds * (self.total - self.done),
            )

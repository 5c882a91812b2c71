"""Asks a judge about many images and keeps what it says, so that a killed job asks no image twice.

Answers are kept by a key of what was asked, in sealed parts of a work folder. An image on which the judge gives no
answer that can be used is counted and never kept: another run asks about it again. Where such images are more than one
in a hundred the job ends, since no score may be made of what nobody judged.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import digest_of
from unix_lib.artefacts.sealed import is_whole, remove, sealed_folder
from unix_lib.judges.judge import Colored, Detection, Images, JudgeError, NoVerdict, ObjectFinder, answers_to
from unix_lib.judges.messages import objects_from, reply_of

KEPT = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("answer", pa.string(), nullable=False)])
ROWS = "rows.parquet"
KEPT_TOGETHER = 16  # answers, or as many as are asked for together
KEPT_EVERY = 5.0  # seconds, so that a slow judge's answers don't wait for others
MOST_WITHOUT = 0.01  # share of images that may be without a verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What a judge is asked: `key` tells it apart from everything else that is kept in the same folder."""

    key: str
    image: Callable[[], np.ndarray]  # uint8 (height, width, 3), decoded when it is asked about
    about: Any = None  # a question, or of what a colour is wanted


class Inquiry:
    """What a judge says, asked for batch by batch."""

    def __init__(
        self, name: str, folder: Path, total: int, ask: Callable[[Sequence[Asked]], Sequence[Any]], at_once: int
    ) -> None:
        """Look up what was kept.

        Args:
            name: of what is judged, for messages.
            folder: of this inquiry alone.
            total: how many things will be asked.
            ask: gives an answer to each, as JSON values; may raise `JudgeError`, and `NoVerdict` of a single one.
            at_once: how many are asked together.
        """
        self.name, self.folder, self.total, self._ask, self._at_once = name, folder, total, ask, at_once
        self._kept: dict[str, str] = {}
        self._new: dict[str, str] = {}
        self._asked = self._without = 0
        self._kept_at = time.monotonic()
        for part in sorted(folder.glob("part-*")):
            if is_whole(part):
                self._kept |= dict(zip(*pq.read_table(part / ROWS, schema=KEPT).to_pydict().values(), strict=True))
            else:
                remove(part)
        if self._kept:
            log.info("%s: %d of %d were judged before", name, len(self._kept), total)

    def answers(self, asked: Sequence[Asked]) -> list[Any]:
        """The answer to each, or the `NoVerdict` in its place.

        Raises:
            JudgeError: the judge can't be asked any more, or too many are without a verdict. What it said is kept.
        """
        without: dict[str, NoVerdict] = {}
        missing = [one for one in asked if one.key not in self._kept]
        try:
            for begin in range(0, len(missing), self._at_once):
                self._take(missing[begin : begin + self._at_once], without)
                if len(self._new) >= KEPT_TOGETHER or time.monotonic() - self._kept_at > KEPT_EVERY:
                    self._keep()
        finally:
            self._keep()
        self._asked += len(asked)
        log.info("%s: %d of %d judged, %d without a verdict", self.name, self._asked, self.total, self._without)
        return [without[one.key] if one.key in without else json.loads(self._kept[one.key]) for one in asked]

    def _take(self, some: Sequence[Asked], without: dict[str, NoVerdict]) -> None:
        """Ask about some images."""
        for one, answer in answers_to(self._ask, some):
            if not isinstance(answer, NoVerdict):
                self._new[one.key] = json.dumps(answer)
                continue
            without[one.key] = answer
            self._without += 1
            log.warning("%s: no verdict (%s): %s", self.name, answer.reason, answer)
            if self._without > MOST_WITHOUT * self.total:
                raise JudgeError(
                    f"{self.name}: no verdict on {self._without} of {self.total} images, more than {MOST_WITHOUT:.0%}, "
                    f"so there is no score; the last: {answer}. Run again when that is mended: what was judged is kept"
                )

    def _keep(self) -> None:
        self._kept_at = time.monotonic()
        if not self._new:
            return
        with sealed_folder(self.folder / f"part-{digest_of(list(self._new))[:16]}") as part:
            columns = {"key": list(self._new), "answer": list(self._new.values())}
            pq.write_table(pa.table(columns, schema=KEPT), part / ROWS)
        self._kept |= self._new
        self._new = {}


def found_in(finder: ObjectFinder, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
    """The objects in each image; see `ObjectFinder`.

    Raises:
        JudgeError: not a list for each image.
    """
    found = finder.objects(images, colored)
    if len(found) != len(images):
        raise JudgeError(f"a judge gave {len(found)} lists of objects for {len(images)} images; correct the judge")
    return found


class ObjectInquiry(Inquiry):
    """The objects that a judge finds in images; `Asked.about` says of which classes how many have a colour."""

    def __init__(self, name: str, folder: Path, total: int, finder: ObjectFinder, at_once: int) -> None:
        def ask(some: Sequence[Asked]) -> list[Any]:
            found = found_in(finder, [one.image() for one in some], [one.about for one in some])
            return [reply_of(objects) for objects in found]

        super().__init__(name, folder, total, ask, at_once)

    def objects(self, asked: Sequence[Asked]) -> list[list[Detection] | NoVerdict]:
        """The objects in each image, or why there is no verdict; raises what `answers` does."""
        return [
            answer if isinstance(answer, NoVerdict) else objects_from(answer, self.name)
            for answer in self.answers(asked)
        ]

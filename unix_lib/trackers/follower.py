"""Tells trackers of a run from a thread of their own, so that none of them is waited for.

A tracker that fails says so once, as a warning, and is told no more. At the end all of them get a moment to finish.
"""

import atexit
import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import replace

from unix_lib.trackers.curve import Curve, Mark, Tracker
from unix_lib.trackers.services import SECONDS_TO_FINISH, SECONDS_TO_START, SERVICES

Point = tuple[int, Mapping[str, float]]  # a step and what is shown there

logger = logging.getLogger(__name__)


class Follower:
    """One curve on one tracker."""

    def __init__(self, name: str, curve: Curve) -> None:
        """`curve` has the folder of all trackers."""
        self.name, self._curve = name, replace(curve, folder=curve.folder / name / curve.id)
        self._points: queue.SimpleQueue[Point | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._follow, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def tell(self, point: Point | None) -> None:
        """Add a point, or None for the end."""
        self._points.put(point)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        if self._thread.is_alive():
            logger.warning("%s: not finished after %.0f s; it is left behind", self.name, seconds)

    def _follow(self) -> None:
        try:
            mark = Mark(self._curve.folder)
            tracker: Tracker = SERVICES[self.name](self._curve)  # type: ignore[index, call-arg]
            while (point := self._points.get()) is not None:
                step, values = point
                if step > mark.step:
                    tracker.log(step, values)
                    mark.move(step)
            tracker.close()
            mark.close()
        except BaseException as error:  # also what calls itself an exit
            logger.warning("%s shows nothing more of this run: %s: %s", self.name, type(error).__name__, error)


class Followers:
    """The trackers that a config names."""

    def __init__(self, curve: Curve) -> None:
        self._every = curve.tracking.every_steps
        self._followers = [Follower(name, curve) for name in curve.tracking.trackers]
        atexit.register(self.close)

    def tell(self, step: int, values: Mapping[str, float | None]) -> None:
        """Show a step's values, those that there are."""
        held_out = any(name.startswith("heldout") for name in values)
        if step % self._every and not held_out:
            return
        known = {name: value for name, value in values.items() if value is not None}
        for follower in self._followers:
            follower.tell((step, known))

    def close(self) -> None:
        """Give all of them the time to finish."""
        atexit.unregister(self.close)
        for follower in self._followers:
            follower.tell(None)
        for follower in self._followers:
            follower.join(SECONDS_TO_START + SECONDS_TO_FINISH)
        self._followers = []

"""How long a job is likely to take: the median of what like jobs took before.

Only measurements count, those of this machine before those that a summary in git brings from another one: a
job like none that ever ran has no estimate.
"""

import csv
import math
from collections.abc import Collection
from pathlib import Path
from statistics import median
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.recipe import Recipe
from unix_lib.artefacts.verify import finished_artefacts


class WallTimes:
    """Wall times of one experiment, `results/<experiment>`: from its manifests, and from its summary kept in git.

    Other experiments don't count: a training job of one says nothing about a training job of another.
    """

    def __init__(self, results: Path) -> None:
        self.skipped: list[str] = []  # what could not be read, a line each
        self._seconds: dict[str, list[float]] = {}
        for folder in finished_artefacts(results):
            try:
                self._note(folder, read_manifest(folder))
            except UserError:
                continue  # `verify` names damaged manifests; an estimate does without them
        measured_here = set(self._seconds)
        summary = results / "summary" / "wall_times.csv"
        if summary.is_file():
            self._note_summary(summary, measured_here)

    def _note(self, folder: Path, manifest: Manifest) -> None:
        seconds = _wall_seconds(manifest.provenance.get("wall_seconds"))
        if seconds is not None:
            self._add(folder.parent.name, folder.name.rpartition("-")[0], seconds)

    def _note_summary(self, path: Path, measured_here: Collection[str]) -> None:
        # Kept in git: it may hold the marks of a merge conflict.
        unreadable = []
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            rows = csv.DictReader(file)
            for row in rows:
                stage, name, seconds = row.get("stage"), row.get("name"), _wall_seconds(row.get("wall_seconds"))
                if stage is None or name is None or seconds is None:
                    unreadable.append(rows.line_num)
                else:
                    self._add(stage, name, seconds, skip=measured_here)
        if unreadable:
            self.skipped.append(
                f"{path}: {len(unreadable)} lines are no wall times, the first is line {unreadable[0]}; "
                "`python -m unix_lib summarize <config>` writes the file anew"
            )

    def _add(self, stage: str, name: str, seconds: float, skip: Collection[str] = ()) -> None:
        for group in (f"{stage}/{name}", f"{stage}/{_like(name)}"):
            if group not in skip:
                self._seconds.setdefault(group, []).append(seconds)

    def estimate(self, recipe: Recipe) -> float | None:
        """Seconds of a job: from jobs of its own name, else from jobs like it; None without any."""
        for group in (f"{recipe.stage}/{recipe.name}", f"{recipe.stage}/{_like(recipe.name)}"):
            if group in self._seconds:
                return median(self._seconds[group])
        return None


def _wall_seconds(value: Any) -> float | None:
    """A wall time as written down; None where it is none."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _like(name: str) -> str:
    """What jobs of one sort have in common: `conflict-unix-step-00100` -> `conflict step`."""
    sort = name.partition("-")[0] if name.startswith(("conflict-", "ceiling-")) else ""
    return f"{sort} {'step' if '-step-' in name else name}"

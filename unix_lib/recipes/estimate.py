"""How long a job is likely to take: the median of what like jobs took before.

Only measurements count, those of this machine before those that a summary in git brings from another one: a
job like none that ever ran has no estimate.
"""

import csv
from collections.abc import Collection
from pathlib import Path
from statistics import median

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.verify import finished_artefacts
from unix_lib.recipes.recipe import Recipe


class WallTimes:
    """Wall times of one experiment, `results/<experiment>`: from its manifests, and from its summary kept in git.

    Other experiments don't count: a training job of one says nothing about a training job of another.
    """

    def __init__(self, results: Path) -> None:
        self._seconds: dict[str, list[float]] = {}
        for folder in finished_artefacts(results):
            try:
                self._note(folder, read_manifest(folder))
            except UserError:
                continue  # `verify` names damaged manifests; an estimate does without them
        measured_here = set(self._seconds)
        summary = results / "summary" / "wall_times.csv"
        if summary.is_file():
            with open(summary, newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    self._add(row["stage"], row["name"], float(row["wall_seconds"]), skip=measured_here)

    def _note(self, folder: Path, manifest: Manifest) -> None:
        seconds = manifest.provenance.get("wall_seconds")
        if seconds is not None:
            self._add(folder.parent.name, folder.name.rpartition("-")[0], float(seconds))

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


def _like(name: str) -> str:
    """What jobs of one sort have in common: `conflict-unix-step-00100` -> `conflict step`."""
    sort = name.partition("-")[0] if name.startswith(("conflict-", "ceiling-")) else ""
    return f"{sort} {'step' if '-step-' in name else name}"

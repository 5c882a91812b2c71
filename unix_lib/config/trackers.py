"""Config of the services that show a run's curves. All of it is operational: nothing re-runs when it changes."""

from importlib.util import find_spec
from typing import Literal

from unix_lib.config.strict import StrictModel, key

TrackerName = Literal["wandb", "tensorboard", "trackio"]
INSTALL = ".venv/bin/pip install --no-deps -r envs/watch.txt"


class Tracking(StrictModel):
    """Where the curves of every run are shown."""

    trackers: list[TrackerName] = key("services that show losses while a run trains", [], kind="operational")
    project: str = key("project that they are shown under", "uni-x", kind="operational", min_length=1, max_length=128)
    entity: str | None = key("W&B user or team; null takes the account's own", None, kind="operational")
    tags: list[str] = key("tags of every run on W&B", [], kind="operational")
    every_steps: int = key("optimizer steps between two points", 1, kind="operational", ge=1, le=1_000_000)

    def missing(self) -> list[str]:
        """Trackers whose package is not installed."""
        found = {name: find_spec(name) for name in self.trackers}
        return [name for name, spec in found.items() if spec is None or spec.origin is None]  # a mere folder has none

    def fault(self) -> str | None:
        """What is missing and how to get it; None where nothing is."""
        missing = self.missing()
        return f"train.tracking.trackers: {', '.join(missing)} not installed; `{INSTALL}`" if missing else None

"""The experiment a command speaks of: its config, its plan and its results folder."""

from dataclasses import dataclass
from pathlib import Path

from unix_lib.artefacts.code import require_library
from unix_lib.config import Experiment, load_experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import link_current, write_planned
from unix_lib.versioning.policy import write_left_out


@dataclass(frozen=True)
class PlannedExperiment:
    """A config with what follows from it. Paths are relative to the project's root, where commands run."""

    config: Experiment
    plan: Plan
    results: Path

    @classmethod
    def load(cls, path: Path) -> "PlannedExperiment":
        require_library(Path.cwd())
        config = load_experiment(path)
        results = Path("results") / config.experiment
        plan = resolve(config, Path.cwd(), FileHashes.of_plan(results))
        return cls(config, plan, results)

    def write_plan(self) -> None:
        """Write what goes with a plan: the artefacts asked for, what DVC leaves out, links to the current ones."""
        write_planned(self.plan, self.results)
        write_left_out(self.plan, self.results)
        link_current(self.plan, self.results)

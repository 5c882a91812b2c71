"""One job as its script sees it: the recipe, the folders of its inputs, and where its output goes."""

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import MANIFEST, Manifest, open_artefact, write_manifest
from unix_lib.recipes.recipe import RECIPE, Recipe, read_recipe


@dataclass
class Job:
    """Everything a script passes to the library. Inputs are opened, and so checked, when asked for."""

    recipe: Recipe
    results: Path  # results/<experiment>
    execution: dict[str, Any]
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def from_files(cls, recipe: Path, execution: Path, output: Path) -> "Job":
        """Read a job from the paths on a script's command line.

        Args:
            recipe: results/<experiment>/recipes/<stage>/<name>-<digest>.json.
            execution: JSON of numeric and operational settings, written by the workflow.
            output: the manifest to be written.
        """
        job = cls(
            recipe=read_recipe(recipe),
            results=recipe.parents[2],
            execution=json.loads(execution.read_text(encoding="utf-8")),
        )
        if output.resolve() != (job.folder / MANIFEST).resolve():
            raise ValueError(f"{output} is not the output of recipe {recipe}; expected {job.folder / MANIFEST}")
        job.folder.mkdir(parents=True, exist_ok=True)
        return job

    @property
    def settings(self) -> dict[str, Any]:
        """The semantic config keys this job depends on."""
        return self.recipe.settings

    @property
    def folder(self) -> Path:
        """The artefact's folder."""
        return self.results / self.recipe.artefact

    @property
    def work(self) -> Path:
        """Undeclared folder for what a killed job resumes from; nothing but the job itself clears it."""
        return self.results / "work" / self.recipe.artefact

    def clear_work(self) -> None:
        """Delete the work folder, once the manifest is written and nothing is left to resume."""
        if self.work.is_dir():
            shutil.rmtree(self.work)

    def input(self, role: str) -> Path:
        """Folder of the one input in a role, its files checked."""
        value = self.recipe.inputs[role]
        if not isinstance(value, str):
            raise TypeError(f"recipe {self.recipe.artefact}: input '{role}' is a list; ask for inputs('{role}')")
        return self._opened(value)

    def inputs(self, role: str) -> list[Path]:
        """Folders of all inputs in a role, their files checked; empty where the role is absent."""
        value = self.recipe.inputs.get(role, [])
        return [self._opened(artefact) for artefact in ([value] if isinstance(value, str) else value)]

    def _opened(self, artefact: str) -> Path:
        folder = self.results / artefact
        open_artefact(folder)
        return folder

    def finish(
        self,
        files: dict[str, int | None],
        *,
        rejected: dict[str, int] | None = None,
        facts: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
    ) -> Manifest:
        """Write the manifest, the job's last act; see `write_manifest`.

        The recipe goes into the artefact's folder too: an artefact says by itself what it was made from.
        """
        write_json(self.folder / RECIPE, self.recipe.as_json())
        return write_manifest(
            self.folder,
            self.recipe.digest,
            {**files, RECIPE: None},
            rejected=rejected,
            facts=facts,
            metrics=metrics,
            execution=self.execution,
            wall_seconds=time.monotonic() - self.started,
        )

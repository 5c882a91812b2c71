"""What a figure reads: artefacts by role, some of which may not exist yet, as tables with the artefacts' names."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.artefacts.recipe import Recipe, recipe_of


@dataclass(frozen=True)
class Inputs:
    """Artefacts of an experiment, by role.

    Attributes:
        results: `results/<experiment>`.
        existing: role -> artefacts (`stage/name-digest`) that can be read.
        missing: artefacts that the figure would also show, not made yet.
    """

    results: Path
    existing: dict[str, list[str]]
    missing: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, recipe: Recipe, results: Path) -> "Inputs":
        """All inputs of a recipe, none missing."""
        return cls(results, {role: recipe.in_role(role) for role in recipe.inputs})

    def folders(self, role: str) -> list[Path]:
        """Folders of a role's artefacts."""
        return [self.results / artefact for artefact in self.existing.get(role, [])]

    def roles(self, prefix: str) -> dict[str, list[Path]]:
        """Folders by what follows `prefix:` in their roles."""
        names = [role.removeprefix(f"{prefix}:") for role in self.existing if role.startswith(f"{prefix}:")]
        return {name: self.folders(f"{prefix}:{name}") for name in names}

    def recipe(self, artefact: str) -> Recipe:
        """The recipe that an artefact followed, from its own folder."""
        return recipe_of(self.results / artefact)

    def table(self, role: str, file: str) -> pd.DataFrame:
        """One table of all artefacts of a role, one below the other, with the artefact's name in `artefact`."""
        tables = []
        for artefact in self.existing.get(role, []):
            path = self.results / artefact / file
            if path.exists():
                tables.append(pd.read_parquet(path).assign(artefact=artefact))
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """One row per benchmark: `benchmark, family, local, by_task`, as the evaluations' manifests have them.

        `local` where the experiment made the questions itself, `by_task` where the score is a mean over tasks.
        """
        columns = ["family", "local", "by_task"]
        rows = {}
        for folder in self.folders("evaluations"):
            for name, facts in read_manifest(folder).facts["benchmarks"].items():
                rows[name] = {"benchmark": name} | {column: facts[column] for column in columns}
        return pd.DataFrame(rows.values(), columns=["benchmark", *columns])

"""What a figure reads: artefacts by role, some of which may not exist yet.

What flows in: artefact names from a recipe. What flows out: tables with the run's recipe facts beside them. The
recipe of an evaluation says which scorer made a benchmark's scores and from where its questions came; names alone
don't.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from unix_lib.artefacts.recipe import Recipe, recipe_of

FAMILIES = {"lm_eval": "text", "yes_no": "understanding", "multiple_choice": "understanding", "geneval": "generation"}


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

    def folders(self, role: str) -> list[Path]:
        """Folders of a role's artefacts."""
        return [self.results / artefact for artefact in self.existing.get(role, [])]

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
        """One row per benchmark: `benchmark, family, local, by_task`.

        `local` where the experiment made the questions itself, `by_task` where the score is a mean over tasks.
        """
        rows = {}
        for artefact in self.existing.get("evaluations", []):
            for name, settings in self.recipe(artefact).settings["benchmarks"].items():
                rows[name] = {
                    "benchmark": name,
                    "family": FAMILIES[settings["scorer"]],
                    "local": settings.get("source") is not None,
                    "by_task": settings["scorer"] == "geneval" or settings.get("layout") == "seed",
                }
        return pd.DataFrame(rows.values(), columns=["benchmark", "family", "local", "by_task"])

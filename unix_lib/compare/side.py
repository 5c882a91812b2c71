"""One of the two that are compared: the finished artefacts of a plan and the tables that figures made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import Recipe, RecipeError, recipe_of
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import headline_scores
from unix_lib.recipes.plan import STAGES

Planned = Mapping[str, Mapping[str, str]]  # digests of recipes by stage and name, as planned.json has them


@dataclass(frozen=True)
class Side:
    """What is there of an experiment, all of it optional.

    Attributes:
        name: what the tables call it.
        results: `results/<experiment>`, or a copy of parts of it.
        planned: which artefacts count; None takes all that are there.
    """

    name: str
    results: Path
    planned: Planned | None = None

    @cached_property
    def artefacts(self) -> list[str]:
        """Finished ones, `stage/name-digest`."""
        found = [path.parent for stage in STAGES for path in sorted(self.results.glob(f"{stage}/*/{MANIFEST}"))]
        named = [f"{folder.parent.name}/{folder.name}" for folder in found]
        if self.planned is None:
            return named
        wanted = {f"{stage}/{name}-{digest}" for stage, jobs in self.planned.items() for name, digest in jobs.items()}
        return [artefact for artefact in named if artefact in wanted]

    @cached_property
    def recipes(self) -> dict[tuple[str, str], Recipe]:
        """Recipes that can be read, by stage and name."""
        found = {}
        for artefact in self.artefacts:
            try:
                recipe = recipe_of(self.results / artefact)
            except RecipeError:
                continue  # of an earlier version
            found[recipe.stage, recipe.name] = recipe
        return found

    def table(self, figure: str) -> pd.DataFrame:
        """The CSV of a figure as it was drawn, or as git keeps it; empty where it is in neither."""
        drawn = [self.results / a / f"{figure}.csv" for a in self.artefacts if a.startswith(f"figures/{figure}-")]
        for path in (*drawn, self.results / "summary" / f"{figure}.csv"):
            if path.is_file():
                table = pd.read_csv(path)
                return table[table.origin == "measured"] if "origin" in table else table
        return pd.DataFrame()

    @cached_property
    def evaluations(self) -> Inputs:
        """The scored checkpoints: artefacts with a table of samples."""
        scored = [a for a in self.artefacts if a.startswith("evaluate/") and (self.results / a / "samples").is_dir()]
        return Inputs(self.results, {"evaluations": scored} if scored else {})

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row per checkpoint, seed and benchmark; without seeds where only the figure's table is there."""
        scores = headline_scores(self.evaluations)
        if scores.empty:
            table = self.table("scores_over_tokens")
            keys = [key for key in ("architecture", "step", "benchmark") if key in table]
            # The first of several protocols, as above, and without its name, which is only there beside others.
            scores = table.drop_duplicates(keys).drop(columns="protocol", errors="ignore") if keys else table
        return scores

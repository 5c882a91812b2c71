"""The arms of an experiment: its compared runs by the mixture that they are trained on, each read like one of its own.

An experiment whose compared runs share a mixture has one arm, which is all of it.
"""

from dataclasses import dataclass, replace

import pandas as pd

from unix_lib.figures.inputs import Inputs

OF_RUNS = (
    "evaluations",
    "checkpoints",
    "conflict",
    "heldout_loss",
    "document_losses",
)  # roles with artefacts of single runs


@dataclass(frozen=True)
class Arm:
    """What belongs to the runs of one mixture.

    Attributes:
        name: the mixture; empty where it is the whole experiment.
        inputs: as the experiment's, less what belongs to other mixtures' runs.
        images: sources whose images the mixture has and not every mixture; None of all.
    """

    name: str
    inputs: Inputs
    images: frozenset[str] | None = None

    def named(self, part: str) -> str:
        """A part of a claim on this arm."""
        return ", ".join(filter(None, [self.name, part]))

    def of_its_images(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of a table with `source` and `modality`, less those of images that are no source of the arm's."""
        if self.images is None or table.empty:
            return table
        return table[(table.modality != "image") | table.source.isin(self.images)]


def arms_of(inputs: Inputs) -> list[Arm]:
    """The arms, in the order in which the config lists their first runs."""
    runs: dict[str, list[str]] = {}
    images: dict[str, frozenset[str]] = {}
    compared = {_run_of(inputs, artefact) for role in ("evaluations", "conflict") for artefact in _of(inputs, role)}
    for checkpoint in _of(inputs, "checkpoints"):
        recipe = inputs.recipe(checkpoint)
        mixture = recipe.settings.get("mixture")
        if mixture is not None and recipe.settings["run"] in compared:
            runs.setdefault(mixture, []).append(recipe.settings["run"])
            images[mixture] = frozenset(
                role.removeprefix("codes:")
                for pack in recipe.in_role("pack")
                for role in inputs.recipe(pack).inputs
                if role.startswith("codes:")
            )
    if len(runs) < 2:
        return [Arm("", inputs)]
    common = frozenset.intersection(*images.values())
    return [Arm(mixture, _of_runs(inputs, names), images[mixture] - common) for mixture, names in runs.items()]


def _of_runs(inputs: Inputs, runs: list[str]) -> Inputs:
    chosen = {role: [each for each in _of(inputs, role) if _run_of(inputs, each) in runs] for role in OF_RUNS}
    return replace(inputs, existing=inputs.existing | chosen)


def _of(inputs: Inputs, role: str) -> list[str]:
    return inputs.existing.get(role, [])


def _run_of(inputs: Inputs, artefact: str) -> str | None:
    return inputs.recipe(artefact).settings.get("run")

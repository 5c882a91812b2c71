"""Dose and response: of each arm its entropy gap, and of its seeds conflict, Uni-X's score and loss differences.

The dose is how many bits harder image codes are to predict than text, at n = 2, bias-corrected, at one budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from unix_lib.analyze.attenuation import corrected_by
from unix_lib.analyze.entropy import error_freedom
from unix_lib.figures.arms import Arm, arms_of
from unix_lib.figures.conditional_entropy import measured_entropy
from unix_lib.figures.evidence import Difference, difference_of_estimates
from unix_lib.figures.gradient_conflict import measured_conflict
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.loss_differences import MODALITIES, LossDifference, measured_loss_differences
from unix_lib.figures.samples import final_samples, prompt_values
from unix_lib.figures.score_comparison import Comparison, compare_scores
from unix_lib.figures.slopes import slope_over
from unix_lib.figures.style import compared_unix, ordered_architectures, preset_of

ORDER = 2  # of the entropy that is the dose
SCORE_SLOPE, LOSS_SLOPE = "score difference", "loss difference, "
CONFLICT_SLOPES = {"shared": "conflict of the shared transformer", "unix": "conflict of Uni-X"}


@dataclass(frozen=True)
class Dose:
    """An arm with its dose; what was not measured is None, or an empty table."""

    arm: Arm
    gap: Difference | None  # bits
    coverage: float  # smaller Good-Turing coverage of the two sources; NaN without a gap
    conflict: pd.DataFrame
    values: pd.DataFrame  # see `prompt_values`
    losses: dict[str, LossDifference]  # by modality, the shared transformer's at the last step above Uni-X's

    @property
    def name(self) -> str:
        """The arm's mixture."""
        return self.arm.name or "all runs"

    @cached_property
    def sides(self) -> tuple[str, str] | None:
        """Uni-X and the shared transformer as they are called here."""
        names = ordered_architectures(self.values.architecture)
        unix = compared_unix(names)
        shared = next((name for name in names if preset_of(name) == "shared"), None)
        return None if unix is None or shared is None else (unix, shared)

    @cached_property
    def comparison(self) -> Comparison | None:
        """Their mean scores held against each other."""
        return None if self.sides is None else compare_scores(self.values, *self.sides)

    def conflict_by_seed(self, preset: str) -> "pd.Series[float]":
        """Noise-corrected conflict of an architecture by seed, over its shared layers and checkpoints."""
        if self.conflict.empty:
            return pd.Series(dtype=float)
        rows = self.conflict[self.conflict.shared & (self.conflict.architecture.map(preset_of) == preset)]
        return corrected_by(rows, ["seed"]).dropna() if len(rows) else pd.Series(dtype=float)


def doses_of(inputs: Inputs) -> list[Dose]:
    """The arms by rising gap, those without one last."""
    entropy = measured_entropy(inputs)
    found = []
    for arm in arms_of(inputs):
        gap, coverage = _gap(arm.of_its_images(entropy))
        values = prompt_values(final_samples(arm.inputs))
        found.append(Dose(arm, gap, coverage, measured_conflict(arm.inputs), values, _losses(arm)))
    return sorted(found, key=lambda dose: np.inf if dose.gap is None else dose.gap.value)


def _losses(arm: Arm) -> dict[str, LossDifference]:
    found = measured_loss_differences(arm.inputs)
    return {each.modality: each for each in found if each.last and preset_of(each.other) == "shared"}


def _gap(entropy: pd.DataFrame) -> tuple[Difference | None, float]:
    """Images minus the text that is hardest to predict; of several image sources their mean."""
    rows = entropy[entropy.budget & (entropy.n == ORDER)] if len(entropy) else entropy
    if not len(rows) or set(rows.modality) != {"text", "image"}:
        return None, np.nan
    text = rows[rows.modality == "text"].sort_values("corrected").iloc[-1]
    images = rows[rows.modality == "image"]
    error = ((images.corrected_standard_error**2).sum() / len(images) ** 2 + text.corrected_standard_error**2) ** 0.5
    freedom = error_freedom(int(min(images.sequences.min(), text.sequences)))
    gap = difference_of_estimates(images.corrected.mean() - text.corrected, error, freedom, int(text.tokens))
    return gap, float(min(images.coverage.min(), text.coverage))


@dataclass(frozen=True)
class Slope:
    """What an outcome gains per bit of the dose; None without two doses that differ, with the same seeds."""

    outcome: str
    difference: Difference | None

    @property
    def named(self) -> str:
        """The outcome with its unit."""
        return f"{self.outcome}, {slope_unit(self.outcome)}"


def slope_unit(outcome: str) -> str:
    """What a slope is counted in."""
    if outcome == SCORE_SLOPE:
        return "points per bit"
    return "per bit" if outcome in CONFLICT_SLOPES.values() else "thousandths of a nat per bit"


def slopes_of(doses: list[Dose]) -> list[Slope]:
    """The primary outcome, then the other ones; losses as far as they were measured."""
    modalities = [modality for modality in MODALITIES if any(modality in dose.losses for dose in doses)]
    return [
        Slope(SCORE_SLOPE, score_slope(doses)),
        *(Slope(outcome, conflict_slope(doses, preset)) for preset, outcome in CONFLICT_SLOPES.items()),
        *(Slope(LOSS_SLOPE + modality, loss_slope(doses, modality)) for modality in modalities),
    ]


def score_slope(doses: list[Dose]) -> Difference | None:
    """The primary outcome: points of Uni-X's score difference per bit, on the seeds that all doses have.

    Points are of the 100 from chance to all right; None without two doses that differ.
    """
    return _sampled_slope([(dose.gap, dose.comparison) for dose in doses], 100)


def loss_slope(doses: list[Dose], modality: str) -> Difference | None:
    """Thousandths of a nat that Uni-X's advantage in held-out loss gains per bit; None as of `score_slope`."""
    return _sampled_slope([(dose.gap, dose.losses.get(modality)) for dose in doses], 1000)


def _sampled_slope(
    known: Sequence[tuple[Difference | None, Comparison | LossDifference | None]], factor: float
) -> Difference | None:
    """Of outcomes by seed whose samples, prompts or documents, are the same in all seeds of a dose."""
    measured = [(gap.value, outcome) for gap, outcome in known if gap is not None and outcome is not None]
    if len({gap for gap, _ in measured}) < 2 or len({tuple(each.seeds) for _, each in measured}) > 1:
        return None
    outcomes, noise = (
        factor * np.stack([getattr(each, name) for _, each in measured], axis=axis)
        for name, axis in (("by_seed", 0), ("noise", 1))
    )
    return slope_over(np.array([gap for gap, _ in measured]), outcomes, min(e.difference.n for _, e in measured), noise)


def conflict_slope(doses: list[Dose], preset: str) -> Difference | None:
    """Noise-corrected conflict of an architecture per bit, on the seeds that all doses have."""
    known = [(dose.gap.value, dose.conflict_by_seed(preset), dose) for dose in doses if dose.gap is not None]
    known = [each for each in known if len(each[1])]
    seeds = sorted(set.intersection(*(set(values.index) for _, values, _ in known))) if known else []
    if len({gap for gap, _, _ in known}) < 2 or not seeds:
        return None
    outcomes = np.stack([values[seeds].to_numpy() for _, values, _ in known])
    documents = int(min(dose.conflict.documents.min() for _, _, dose in known))
    return slope_over(np.array([gap for gap, _, _ in known]), outcomes, documents)

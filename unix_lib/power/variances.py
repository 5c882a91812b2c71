"""What finished experiments varied: of each part of a claim the parts of its interval, with where they come from.

Artefacts are read by the claims' own rules. What a machine has no artefacts of stands in `summary/variances.csv`, which
git keeps; in summaries without it, an interval in `claims.csv` is taken as if runs alone had made it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unix_lib.analyze.entropy import JACKKNIFE_GROUPS, error_freedom
from unix_lib.figures.architecture_claims import pair_name
from unix_lib.figures.arms import arms_of
from unix_lib.figures.claims import findings
from unix_lib.figures.doses import doses_of, slope_unit, slopes_of
from unix_lib.figures.evidence import NOT_MEASURABLE, Difference, Spread
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.loss_differences import measured_loss_differences
from unix_lib.power.chances import Known, reach

TABLE = "variances.csv"
RULE, AGREEING = "rule", "noise-corrected"
COLUMNS = ["outcome", "part", "measure", "difference", "n", "seeds", "runs", "shared", "own", "least", "doses"]
# Outcomes by claim; conflict is decided by two differences.
CONFLICT = ("2", "3")
UNITS = {"1": "bits", "2": "conflict", "3": "conflict", "4": "points", "5": "percent", "6": "points", "7": "points"}
LOSS, LOSS_UNIT = "held-out loss, ", "thousandths of a nat"
SLOPE = "slope of "  # before a slope's outcome


def unit_of(outcome: str) -> str:
    """What its differences are counted in."""
    if outcome.startswith(SLOPE):
        return slope_unit(outcome.removeprefix(SLOPE))
    return UNITS.get(outcome, LOSS_UNIT)


@dataclass(frozen=True)
class Variance:
    """Of a part of an outcome.

    Attributes:
        outcome: number of the claim, or the second outcome's name.
        known: the differences that decide together; none where a verdict is impossible, `lacking` says why.
        n: samples behind them.
        origin: where it comes from, for a reader.
    """

    outcome: str
    part: str
    known: tuple[Known, ...]
    n: int
    seeds: int
    origin: str
    lacking: str = ""

    @property
    def doses(self) -> int:
        """Of a slope, how many it is over."""
        return max((each.spread.doses for each in self.known), default=0)


def variance_table(inputs: Inputs) -> pd.DataFrame:
    """`COLUMNS`, a row per difference of what exists of an experiment, standard deviations in the claims' units."""
    rows: list[dict[str, object]] = []
    for finding in findings(inputs):
        if finding.verdict != NOT_MEASURABLE:
            rows += _rows(str(finding.claim), finding.part, finding.difference, finding.agreeing)
    for arm in arms_of(inputs):
        for loss in measured_loss_differences(arm.inputs):
            if loss.last:
                part = arm.named(pair_name(loss.unix, loss.other))
                rows += _rows(f"{LOSS}{loss.modality}", part, loss.difference.times(1000), None)
    for slope in slopes_of(doses_of(inputs)):
        if slope.difference is not None:
            rows += _rows(f"{SLOPE}{slope.outcome}", "", slope.difference, None)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(outcome: str, part: str, *differences: Difference | None) -> Iterator[dict[str, object]]:
    for measure, difference in zip((RULE, AGREEING), differences, strict=True):
        if difference is not None and difference.spread is not None:
            known = {"outcome": outcome, "part": part, "measure": measure, "difference": difference.value}
            yield known | {"n": difference.n, "seeds": difference.seeds} | vars(difference.spread)


def variances_of(table: pd.DataFrame, origin: str) -> Iterator[Variance]:
    """What a table of `COLUMNS` says; one without `doses` is of a version that knew no slopes."""
    table = table.assign(doses=table.get("doses", 0)).fillna({"part": ""})
    for (outcome, part), rows in table.groupby(["outcome", "part"], sort=False):
        freedom = _freedom(str(outcome))
        by_measure = {str(row.measure): Known(_spread(row), int(row.seeds), freedom) for row in rows.itertuples()}
        seeds, n = int(rows.seeds.min()), int(rows.n.min())
        lacking = _lacking(str(outcome), by_measure, seeds)
        known = () if lacking else tuple(by_measure.values())
        yield Variance(str(outcome), str(part), known, n, seeds, f"{origin}, {_seeds(seeds)}{n:,} samples", lacking)


def _freedom(outcome: str) -> int | None:
    """Degrees of freedom of an interval without training: claim 1's is Student's, claim 7's normal."""
    return error_freedom(JACKKNIFE_GROUPS) if outcome == "1" else None


def _spread(row: Any) -> Spread:
    runs, shared, own, least = (float(getattr(row, name)) for name in COLUMNS[6:10])
    return Spread(runs, shared, own, least, int(row.doses))


def _lacking(outcome: str, by_measure: dict[str, Known], seeds: int) -> str:
    if outcome in CONFLICT and AGREEING not in by_measure:
        return "without the noise-corrected difference, for which gradients were too noisy"
    if seeds == 1:
        return "one seed says nothing of the spread between seeds"
    numbers = [value for known in by_measure.values() for value in vars(known.spread).values()]
    return "" if all(map(math.isfinite, numbers)) else "without an interval"


def variances_of_claims(path: Path) -> Iterator[Variance]:
    """What intervals of a committed `claims.csv` leave to know."""
    for row in pd.read_csv(path, keep_default_na=False, na_values={"low": "", "high": ""}).itertuples():
        outcome, seeds, half = str(row.claim), int(row.seeds), (float(row.high) - float(row.low)) / 2
        if row.verdict == NOT_MEASURABLE or not math.isfinite(half):
            continue
        lacking = _lacking(outcome, {}, seeds)
        if outcome in CONFLICT:
            lacking = "without the noise-corrected difference, which artefacts or a variances.csv have"
        spread = Spread(0.0, half / reach(_freedom(outcome)))
        if seeds > 1:
            spread = Spread(half / reach(seeds - 1) * seeds**0.5, 0.0)
        told = f"{path.parents[1]} ({path.name}), {_seeds(seeds)}{int(row.n):,} samples"
        told += ", the width of whose interval is taken as runs' alone" * (seeds > 1 and not lacking)
        known = () if lacking else (Known(spread, seeds, _freedom(outcome)),)
        yield Variance(outcome, row.part, known, int(row.n), seeds, told, lacking)


def _seeds(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)}, " if seeds else ""

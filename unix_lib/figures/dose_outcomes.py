"""Table "what the doses decide": slopes over the entropy gap, and the differences at each dose."""

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.conditional_entropy import LEAST_COVERAGE
from unix_lib.figures.doses import LOSS_SLOPE, Dose, doses_of, slopes_of
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table
from unix_lib.figures.evidence import NOT_MEASURABLE, UNDECIDED, Difference, verdict_of
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import Drawing, nothing_yet

COLUMNS = ["origin", "kind", "outcome", "dose", "value", "low", "high", "n", "seeds", "verdict", "reason"]
HEADING = ["", "value [95% interval]", "n", "seeds", "verdict", "reason"]
TOO_FEW = "needs two doses that differ, with the same seeds of Uni-X and the shared transformer"


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table; in the CSV are the outcomes that were measured."""
    doses = doses_of(inputs)
    if all(dose.gap is None and dose.comparison is None and dose.conflict.empty for dose in doses):
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("neither entropy nor conflict nor scores"))
    primary, *second = [
        _row("secondary" if place else "primary", slope.named, "", slope.difference)
        for place, slope in enumerate(slopes_of(doses))
    ]
    gaps, differences, losses = [], [], []
    for dose in doses:
        gaps.append(_gap_row(dose))
        in_points = None if dose.comparison is None else dose.comparison.difference.times(100)
        differences.append(_row("dose", "score difference, points", dose.name, in_points))
        for modality, loss in dose.losses.items():
            losses.append(_row("loss", LOSS_SLOPE + modality, dose.name, loss.difference.times(1000)))
    table = pd.DataFrame([primary, *second, *gaps, *differences, *losses], columns=COLUMNS)
    table = table[table.n > 0]
    sections = [
        Section("Primary outcome, declared before anything ran: a slope over the entropy gap", [_line(primary)]),
        Section("Other slopes over the entropy gap", [_line(r) for r in second]),
        Section("Entropy gap of each dose, bits", [_line(r) for r in gaps]),
        Section("Uni-X minus the shared transformer at each dose", [_line(r) for r in differences]),
        Section(
            "Held-out loss of the shared transformer above Uni-X's, thousandths of a nat", [_line(r) for r in losses]
        ),
    ]
    notes = [
        "A verdict needs a 95% interval that excludes 0 and two seeds. Slopes are least squares over all doses' seeds.",
    ]
    shown_sections = [section for section in sections if section.rows]
    text = TextTable("What the doses decide", HEADING, shown_sections, frozenset({0, 4, 5}), notes=notes)
    return Drawing(table, draw_table(text))


def _row(
    kind: str, outcome: str, dose: str, difference: Difference | None, *, of_training: bool = True
) -> dict[str, object]:
    row: dict[str, object] = {"origin": "measured", "kind": kind, "outcome": outcome, "dose": dose}
    if difference is None:
        return row | {"n": 0, "seeds": 0, "verdict": NOT_MEASURABLE, "reason": TOO_FEW}
    verdict, reason = verdict_of(difference, of_training=of_training)
    return row | vars(difference) | {"verdict": verdict, "reason": reason}


def _gap_row(dose: Dose) -> dict[str, object]:
    row = _row("gap", "entropy gap, bits", dose.name, dose.gap, of_training=False)
    if dose.gap is None:
        return row | {"reason": "needs the entropy of a text and of the dose's images"}
    if dose.coverage < LEAST_COVERAGE:
        return row | {
            "verdict": UNDECIDED,
            "reason": f"only {dose.coverage:.0%} of the n-grams seen, the estimate still moves",
        }
    return row


def _line(row: dict[str, object]) -> list[str]:
    value, n = DASH, row["n"] or DASH
    if "low" in row:
        value = str(Difference(*(row[name] for name in ("value", "low", "high", "n", "seeds"))))  # type: ignore[arg-type]
    elif "value" in row:
        value = f"{row['value']:.2f}"
    label = f"{row['dose']}: {row['outcome']}" if row["dose"] else str(row["outcome"])
    return [label, value, str(n), str(row["seeds"] or DASH), str(row["verdict"]), str(row["reason"])]

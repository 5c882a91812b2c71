"""Table "outcomes": what each outcome of claims 3 and 4 says, and the smallest difference that it could have decided.

The first outcome is what the claim is about, conflict or mean score, by the rules of the claims table. The second,
declared beside it, is the held-out loss of each modality at the last step that both architectures have; earlier steps
are in the CSV and below. One never stands in for the other. Runs of several mixtures are compared within each.
"""

import math
from dataclasses import dataclass

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.analysis_claims import middle_claim
from unix_lib.figures.architecture_claims import pair_name, score_claim
from unix_lib.figures.arms import Arm, arms_of
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table
from unix_lib.figures.evidence import Difference, Finding, detectable
from unix_lib.figures.gradient_conflict import measured_conflict
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.loss_differences import LossDifference, measured_loss_differences
from unix_lib.figures.samples import final_samples
from unix_lib.figures.style import Drawing, preset_of

COLUMNS = [
    *("claims", "outcome", "measure", "part", "step", "measured", "difference", "low", "high", "detectable"),
    *("n", "seeds", "verdict", "reason"),
]
HEADING = ["claims", "", "measured here", "difference\n[95% interval]", "detectable", "n", "seeds", "verdict"]
FIRST = {3: "conflict", 4: "mean score"}


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    arms = arms_of(inputs)
    first = [_first(arm, finding) for arm in arms for finding in _findings(arm.inputs)]
    found = [(arm, one) for arm in arms for one in measured_loss_differences(arm.inputs)]
    second = [_second(arm, one) for arm, one in found if one.last]
    earlier = [_second(arm, one) for arm, one in found if not one.last]
    sections = [
        Section("First outcome: what the claims are about", list(map(_line, first))),
        Section("Second outcome: held-out loss at the last step", list(map(_line, second))),
        Section("How the second outcome came about (decides nothing)", list(map(_line, earlier))),
    ]
    notes = [
        "A difference is positive where the claim holds; in conflict (3), points of the 100 from chance to all right "
        "(4), thousandths of a nat per target (held-out loss).",
        "Detectable: the smallest true difference decided in 80% of repetitions with as many seeds, prompts and "
        "documents, if they vary as these did.",
        "n: documents per modality (3), prompts and questions (4), held-out documents with such targets (loss).",
    ]
    shown = [section for section in sections if section.rows]
    text = TextTable("Outcomes of claims 3 and 4", HEADING, shown, frozenset({0, 1, 2, 7}), notes=notes)
    rows = [vars(row) | _numbers(row.difference) for row in (*first, *second, *earlier)]
    return Drawing(pd.DataFrame(rows, columns=COLUMNS), draw_table(text))


@dataclass(frozen=True)
class _Row:
    claims: str
    outcome: str
    measure: str
    part: str
    measured: str
    difference: Difference | None
    verdict: str
    reason: str
    step: int | None = None


def _findings(inputs: Inputs) -> list[Finding]:
    return [*middle_claim(measured_conflict(inputs)), *score_claim(final_samples(inputs))]


def _first(arm: Arm, finding: Finding) -> _Row:
    return _Row(
        str(finding.claim),
        "first",
        FIRST[finding.claim],
        arm.named(finding.part),
        finding.measured,
        finding.difference,
        finding.verdict,
        finding.reason,
    )


def _second(arm: Arm, found: LossDifference) -> _Row:
    return _Row(
        "3, 4" if preset_of(found.other) == "shared" else "4",
        "second",
        f"held-out loss, {found.modality}",
        arm.named(pair_name(found.unix, found.other)),
        f"{found.means[1]:.3f} against {found.means[0]:.3f} nats",
        found.difference.times(1000),
        found.verdict if found.last else "",
        found.reason if found.last else "an earlier step",
        found.step,
    )


def _numbers(difference: Difference | None) -> dict[str, float]:
    if difference is None:
        return {}
    return vars(difference) | {"difference": difference.value, "detectable": detectable(difference)}


def _line(row: _Row) -> list[str]:
    cells = [DASH] * 4
    if row.difference is not None:
        least = detectable(row.difference)
        shown = DASH if math.isnan(least) else f"{least:.2g}"
        cells = [str(row.difference).replace(" [", "\n["), shown, f"{row.difference.n:,}", str(row.difference.seeds)]
    what = row.measure if row.step is None else f"{row.measure}, step {row.step:,}"
    return [row.claims, f"{what}\n{row.part}", row.measured or DASH, *cells, row.verdict or DASH]

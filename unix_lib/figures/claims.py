"""The claims table: what the paper says, what this experiment measured, and what may be concluded.

A claim may have several parts (orders n, architectures it is compared with). Every difference is written so that it
is positive where the claim holds. A claim about the data needs no second training seed, claims about what training
makes of an architecture do.
"""

import textwrap

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.analysis_claims import depth_claim, entropy_claim, middle_claim
from unix_lib.figures.architecture_claims import scale_claim, score_claim, split_claim, throughput_claim
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table
from unix_lib.figures.evidence import FAILS, HOLDS, NOT_MEASURABLE, UNDECIDED, Finding, prompt_values
from unix_lib.figures.gradient_conflict import measured_conflict
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import Drawing

# PAPER: the seven claims.
STATEMENTS = {
    1: "Image tokens have far higher conditional entropy than text",
    2: "In a shared transformer, gradients conflict more in shallow and deep layers than in the middle",
    3: "Uni-X lowers the conflict left in the shared middle layers",
    4: "At equal data Uni-X beats the other architectures on the mean score",
    5: "Uni-X trains faster than every architecture but the shared one",
    6: "The split 9:5 is best on the 28-layer model",
    7: "With 3B active parameters it matches or beats 7B autoregressive models",
}
COLUMNS = [
    *("claim", "part", "statement", "published", "measured", "difference", "low", "high", "n", "seeds", "scale"),
    *("verdict", "reason"),
]
HEADING = ["part", "published", "measured here", "difference\n[95% interval]", "n", "seeds", "verdict", "reason"]
REASON_CHARACTERS = 44
VERDICT_COLORS = {HOLDS: "#00795A", FAILS: "#B34A00", UNDECIDED: "#7A6A00", NOT_MEASURABLE: "#777777"}


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    found = findings(inputs)
    sections: list[Section] = []
    colors = {}
    for number, statement in STATEMENTS.items():
        of_claim = [finding for finding in found if finding.claim == number]
        for line, finding in enumerate(of_claim):
            colors[(len(sections), line, HEADING.index("verdict"))] = VERDICT_COLORS[finding.verdict]
        sections.append(Section(f"{number}  {statement}", [_line(finding) for finding in of_claim]))
    notes = [
        "A difference is positive where the claim holds; in bits (1), conflict (2, 3), percentage points (4, 6) and "
        "percent (5). (?) second-hand.",
        "A verdict needs a 95% interval that excludes 0; one training seed decides nothing about architectures; "
        "conflict decides only where its noise-corrected value agrees.",
        "n: tokens (1), documents per modality (2, 3), prompts and questions (4, 6), training steps (5).",
    ]
    text = TextTable(
        "Claims of the paper", HEADING, sections, frozenset({0, 1, 2, 6, 7}), cell_colors=colors, notes=notes
    )
    return Drawing(claims_table(found, settings.scale), draw_table(text))


def findings(inputs: Inputs) -> list[Finding]:
    """All claims on all that exists."""
    conflict = measured_conflict(inputs)
    documents = int(conflict.documents.min()) if len(conflict) else 0
    values = prompt_values(inputs)
    return [
        *entropy_claim(inputs.table("entropy", "entropy.parquet")),
        *depth_claim(conflict, documents),
        *middle_claim(conflict, documents),
        *score_claim(values),
        *throughput_claim(inputs),
        *split_claim(values),
        scale_claim(),
    ]


def claims_table(found: list[Finding], scale: str) -> pd.DataFrame:
    """One row per claim and part."""
    rows = []
    for finding in found:
        found_of = {"value": None, "n": 0, "seeds": 0} if finding.difference is None else vars(finding.difference)
        known = {"statement": STATEMENTS[finding.claim], "difference": found_of["value"], "scale": scale}
        rows.append(vars(finding) | found_of | known)
    return pd.DataFrame(rows, columns=COLUMNS)


def _line(finding: Finding) -> list[str]:
    difference, cells = finding.difference, [DASH, DASH, DASH]
    if difference is not None:
        interval = f"{difference.value:+.3g}\n[{difference.low:+.3g}, {difference.high:+.3g}]"
        cells = [interval, f"{difference.n:,}", str(difference.seeds or DASH)]
    return [
        finding.part,
        finding.published,
        finding.measured or DASH,
        *cells,
        finding.verdict,
        textwrap.fill(finding.reason, REASON_CHARACTERS),
    ]

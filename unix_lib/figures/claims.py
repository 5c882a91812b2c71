"""The claims table: what the paper says, what this experiment measured, and what may be concluded.

A claim may have several parts (orders n, architectures it is compared with). Every difference is written so that it
is positive where the claim holds. A claim about the data needs no second training seed, claims about what training
makes of an architecture do.
"""

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.analysis_claims import depth_claim, entropy_claim, middle_claim
from unix_lib.figures.architecture_claims import scale_claim, score_claim, split_claim, throughput_claim
from unix_lib.figures.arms import Arm, arms_of
from unix_lib.figures.conditional_entropy import measured_entropy
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table
from unix_lib.figures.evidence import FAILS, HOLDS, NOT_MEASURABLE, UNDECIDED, Finding
from unix_lib.figures.gradient_conflict import measured_conflict
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.samples import final_samples
from unix_lib.figures.style import Drawing


@dataclass(frozen=True)
class Measured:
    """All that the rules of claims read of an arm of the experiment, each table read once."""

    arm: Arm

    @property
    def inputs(self) -> Inputs:
        return self.arm.inputs

    @cached_property
    def conflict(self) -> pd.DataFrame:
        """See `measured_conflict`."""
        return measured_conflict(self.inputs)

    @cached_property
    def entropy(self) -> pd.DataFrame:
        """See `measured_entropy`; of the images that the arm's runs see."""
        return self.arm.of_its_images(measured_entropy(self.inputs))

    @cached_property
    def samples(self) -> pd.DataFrame:
        """See `final_samples`."""
        return final_samples(self.inputs)


@dataclass(frozen=True)
class Claim:
    """What the paper says, and the rule that holds it against what was measured."""

    statement: str
    rule: Callable[[Measured], Iterable[Finding]]


# PAPER: the seven claims.
CLAIMS = {
    1: Claim(
        "Image tokens have far higher conditional entropy than text", lambda measured: entropy_claim(measured.entropy)
    ),
    2: Claim(
        "In a shared transformer, gradients conflict more in shallow and deep layers than in the middle",
        lambda measured: depth_claim(measured.conflict),
    ),
    3: Claim(
        "Uni-X lowers the conflict left in the shared middle layers", lambda measured: middle_claim(measured.conflict)
    ),
    4: Claim(
        "At equal data Uni-X beats the other architectures on the mean score",
        lambda measured: score_claim(measured.samples),
    ),
    5: Claim(
        "Uni-X trains faster than every architecture but the shared one",
        lambda measured: throughput_claim(measured.inputs),
    ),
    6: Claim("The split 9:5 is best on the 28-layer model", lambda measured: split_claim(measured.samples)),
    7: Claim(
        "With 3B active parameters it matches or beats 7B autoregressive models",
        lambda measured: scale_claim(measured.inputs),
    ),
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
    for number, claim in CLAIMS.items():
        of_claim = [finding for finding in found if finding.claim == number]
        for line, finding in enumerate(of_claim):
            colors[(len(sections), line, HEADING.index("verdict"))] = VERDICT_COLORS[finding.verdict]
        sections.append(Section(f"{number}  {claim.statement}", [_line(finding) for finding in of_claim]))
    notes = [
        "A difference is positive where the claim holds; in bits (1), conflict (2, 3), points of the 100 from "
        "chance to all right (4, 6) and percent (5). (?) second-hand.",
        "A verdict needs a 95% interval that excludes 0; one training seed decides nothing about architectures; "
        "conflict decides only where its noise-corrected value agrees; a benchmark adds a difference only where one "
        "side is above chance.",
        "n: tokens (1), documents per modality (2, 3), prompts and questions (4, 6), training steps (5).",
    ]
    text = TextTable(
        "Claims of the paper", HEADING, sections, frozenset({0, 1, 2, 6, 7}), cell_colors=colors, notes=notes
    )
    return Drawing(claims_table(found, settings.scale), draw_table(text))


def findings(inputs: Inputs) -> list[Finding]:
    """All claims on all that exists; where compared runs are trained on several mixtures, on each mixture's.

    What can't be measured on any of them, for one reason, is said once.
    """
    arms = [Measured(arm) for arm in arms_of(inputs)]
    found: list[Finding] = []
    for claim in CLAIMS.values():
        of_arms = [(of.arm, finding) for of in arms for finding in claim.rule(of)]
        distinct = {each for _, each in of_arms}
        if len(distinct) == 1 and {each.verdict for each in distinct} == {NOT_MEASURABLE}:
            found += distinct
        else:
            found += [replace(each, part=arm.named(each.part)) for arm, each in of_arms]
    return found


def claims_table(found: list[Finding], scale: str) -> pd.DataFrame:
    """One row per claim and part."""
    rows = []
    for finding in found:
        found_of = {"value": None, "n": 0, "seeds": 0} if finding.difference is None else vars(finding.difference)
        known = {"statement": CLAIMS[finding.claim].statement, "difference": found_of["value"], "scale": scale}
        rows.append(vars(finding) | found_of | known)
    return pd.DataFrame(rows, columns=COLUMNS)


def _line(finding: Finding) -> list[str]:
    difference, cells = finding.difference, [DASH, DASH, DASH]
    if difference is not None:
        cells = [str(difference).replace(" [", "\n["), f"{difference.n:,}", str(difference.seeds or DASH)]
    return [
        finding.part,
        finding.published,
        finding.measured or DASH,
        *cells,
        finding.verdict,
        textwrap.fill(finding.reason, REASON_CHARACTERS),
    ]

"""The paper's argument as the page tells it: premise, mechanism, effect, each with its claims; and what is open."""

from collections import Counter
from dataclasses import dataclass

from unix_lib.config.figures import FigurePart
from unix_lib.records.schema import Row

MOST_TIMES = 1000  # more than so many times the data is no advice


@dataclass(frozen=True)
class Part:
    """A step of the argument.

    Attributes:
        name: the figures' `part`.
        question: what has to be so for the next step to follow.
        claims: numbers of the claims that say so.
    """

    name: FigurePart
    heading: str
    question: str
    claims: tuple[int, ...]


PARTS = (
    Part(
        "premise",
        "The premise: image tokens are harder to predict than text",
        "If what comes next is far less certain in images than in text, one set of layers has two unlike things to "
        "learn. Where that is not so in the data of an experiment, nothing below tests the argument.",
        (1,),
    ),
    Part(
        "mechanism",
        "The mechanism: text and images pull the same weights apart",
        "Then gradients of text and of images conflict in a shared transformer, most in its shallow and deep layers, "
        "and less where Uni-X gives each its own.",
        (2, 3),
    ),
    Part(
        "effect",
        "The effect: separate layers pay",
        "Then Uni-X makes more of the same data than architectures that share all layers, or none.",
        (4, 5, 6, 7),
    ),
)


@dataclass(frozen=True)
class StepOnPage:
    """A part of the argument with its rows of `claims.csv` and how often each verdict was given."""

    part: Part
    claims: list[Row]
    verdicts: list[tuple[str, int]]


def steps_on_page(claims: list[Row]) -> list[StepOnPage]:
    """The argument's parts with what was found of each."""
    steps = []
    for part in PARTS:
        rows = [row for row in claims if int(row["claim"]) in part.claims]
        steps.append(StepOnPage(part, rows, Counter(str(row["verdict"]) for row in rows).most_common()))
    return steps


@dataclass(frozen=True)
class Open:
    """A part of a claim without a verdict: why, and what would give it one.

    Attributes:
        least: half of the difference's interval: smaller ones can't be told from none. None without an interval.
        times: how many times the data and seeds behind it would decide a difference as large as the one measured, by
            the square root law; None where that is more than `MOST_TIMES`, or not known.
    """

    claim: int
    part: str
    why: str
    least: float | None
    times: float | None


def open_claims(claims: list[Row]) -> list[Open]:
    """What was not decided."""
    found = []
    for row in claims:
        if row["verdict"] in ("holds", "does not hold"):
            continue
        least = times = None
        if row["low"] != "":
            least, difference = (float(row["high"]) - float(row["low"])) / 2, abs(float(row["difference"]))
            if difference * MOST_TIMES**0.5 >= least:
                times = max(1.0, (least / difference) ** 2)
        found.append(Open(int(row["claim"]), str(row["part"]), str(row["reason"]), least, times))
    return found

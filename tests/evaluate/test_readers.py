"""What each protocol reads in an answer: cases made by hand, each derived from the tool's published rule."""

from collections.abc import Mapping

import pytest

from unix_lib.benchmarks.settings import Layout
from unix_lib.evaluate.protocols import RULES
from unix_lib.evaluate.scorers.question_settings import Protocol

FRUIT = {"A": "apple", "B": "banana", "C": "a circle", "D": "none"}
TWO = {"A": "yes", "B": "no"}
LONG = {"A": "a very long description of a harbour at night", "B": "a market square in the early morning"}

# By answer: what strict, paper, VLMEvalKit and lmms-eval read in it; None is nothing, Z a refusal.
YES_NO: dict[str, tuple[str | None, str | None, str | None, str | None, str | None]] = {
    # answer: strict, paper, vlmevalkit, lmms-eval on MME, lmms-eval on POPE
    "yes": ("yes", "yes", "yes", "yes", "yes"),
    "No": ("no", "no", "no", "no", "no"),
    " YES\n": ("yes", "yes", "yes", "yes", "yes"),
    "Yes.": ("yes", "yes", "yes", "yes", None),
    "no!": ("no", "no", "no", "no", None),
    "Yes, there is a dog.": ("yes", "yes", "yes", "yes", None),
    "There is no dog.": ("no", None, "no", None, None),
    "Yes, there is no dog.": ("yes", "yes", None, "yes", None),
    "No, yes would be wrong": ("no", "no", None, "no", None),
    "yes/no": ("yes", "yes", None, "yes", None),
    "yes.no": ("yes", "yes", None, "yes", None),
    "yes,no": ("yes", "yes", None, "yes", None),
    "either yes or no": (None, None, None, None, None),
    "**Yes**": ("yes", "yes", None, None, None),
    "(no)": ("no", "no", "no", "no", None),
    "yes:": ("yes", "yes", None, "yes", None),
    "the answer is yes": ("yes", None, "yes", None, None),
    "y": (None, None, None, "yes", None),
    "N": (None, None, None, "no", None),
    "yesterday": (None, None, None, "yes", None),
    "Not at all": (None, None, None, "no", None),
    "I know it": (None, None, None, None, None),
    "know": (None, None, None, "no", None),
    "1,000 yes": ("yes", None, "yes", None, None),
    "maybe": (None, None, None, None, None),
    "": (None, None, None, None, None),
}
CHOICES: list[tuple[str, Mapping[str, str], str | None, str | None, str | None, str | None, str | None]] = [
    # answer, options: strict, paper, vlmevalkit, lmms-eval on MMBench, lmms-eval on SEED
    ("A", FRUIT, "A", "A", "A", "A", "A"),
    (" B ", FRUIT, "B", "B", "B", "B", "B"),
    ("b", FRUIT, "B", "B", None, None, None),
    ("B.", FRUIT, "B", "B", "B", "B", "B"),
    ("(C)", FRUIT, "C", "C", "C", "C", None),
    ("C: a circle", FRUIT, "C", "C", "C", "C", "C"),
    ("D,", FRUIT, "D", "D", "D", "D", "D"),
    ("{B}", FRUIT, "B", "B", "B", None, None),
    ("**B**", FRUIT, "B", "B", "B", None, None),
    ("E", FRUIT, None, None, None, "E", None),
    ("Z", FRUIT, None, None, "Z", None, None),
    ("A circle", FRUIT, "C", "A", "A", "A", "A"),
    ("A dog", FRUIT, None, "A", "A", "A", "A"),
    ("A red round fruit lies there", FRUIT, None, "A", None, None, "A"),
    ("Because", FRUIT, None, "B", None, None, "B"),
    ("an apple", FRUIT, "A", "A", "A", "A", None),
    ("pineapple", FRUIT, None, "A", "A", "A", None),
    ("bananas", FRUIT, None, "B", "B", "B", None),
    ("apple or banana", FRUIT, None, "A", None, None, None),
    ("A or B", FRUIT, None, "A", None, None, "A"),
    ("The answer is B", FRUIT, "B", "A", "B", "B", None),
    ("The answer is b", FRUIT, "B", "A", "B", None, None),
    ("the correct answer is **C**, I am sure of that", FRUIT, "C", "C", "C", None, None),
    ("the answer is a dog", FRUIT, None, "A", "A", None, None),
    ("the answer is black", FRUIT, None, "A", "B", None, None),
    ("B is the right answer", FRUIT, "B", "B", None, "B", "B"),
    ("B is what one sees", FRUIT, "B", "B", None, "B", "B"),
    ("I choose B of them", FRUIT, "B", "C", "B", "B", None),
    ("I think that it is D", FRUIT, "D", "A", "D", "D", None),
    ("C", TWO, None, "C", None, "C", None),
    ("Yes", TWO, "A", None, "A", "A", None),
    ("yes, no doubt", TWO, None, "D", None, None, None),
    ("a market square in the early morning", LONG, "B", "A", "B", "B", None),
    ("a market square in the early morning" + ", or so I would guess" * 8, LONG, "B", "A", None, "B", None),
    ("Cannot determine the answer", FRUIT, None, "C", "Z", None, "C"),
    ("I can't process this file. B", FRUIT, "B", "C", "Z", "B", None),
    ("", FRUIT, None, None, None, None, None),
    ("1", FRUIT, None, None, None, None, None),
]
CASES = [
    (text, {}, layout, protocol, verdict)
    for text, of_text in YES_NO.items()
    for layout, protocol, verdict in (
        ("pope", "strict", of_text[0]),
        ("mme", "paper", of_text[1]),
        ("pope", "vlmevalkit", of_text[2]),
        ("mme", "lmms-eval", of_text[3]),
        ("pope", "lmms-eval", of_text[4]),
    )
] + [
    (text, options, layout, protocol, verdict)
    for text, options, *of_text in CHOICES
    for layout, protocol, verdict in (
        ("mmbench", "strict", of_text[0]),
        ("seed", "paper", of_text[1]),
        ("mmbench", "vlmevalkit", of_text[2]),
        ("mmbench", "lmms-eval", of_text[3]),
        ("seed", "lmms-eval", of_text[4]),
    )
]


def test_there_are_enough_cases() -> None:
    assert len(YES_NO) + len(CHOICES) >= 60
    assert len(CASES) == 5 * (len(YES_NO) + len(CHOICES))


@pytest.mark.parametrize(("text", "options", "layout", "protocol", "verdict"), CASES)
def test_an_answer_is_read_as_the_tool_reads_it(
    text: str, options: Mapping[str, str], layout: Layout, protocol: Protocol, verdict: str | None
) -> None:
    assert RULES[protocol][layout].read(text, options) == verdict


def test_every_protocol_has_rules_for_every_layout_and_reads_both_alike() -> None:
    assert {frozenset(of_layout) for of_layout in RULES.values()} == {frozenset({"pope", "mme", "mmbench", "seed"})}
    for protocol in ("strict", "paper", "vlmevalkit"):
        assert RULES[protocol]["pope"].read is RULES[protocol]["mme"].read
        assert RULES[protocol]["mmbench"].read is RULES[protocol]["seed"].read


def test_no_more_than_32_full_stops_are_left_out() -> None:
    read = RULES["vlmevalkit"]["pope"].read
    assert read("." * 31 + "yes.", {}) == "yes"
    assert read("." * 32 + "yes.", {}) is None

"""Reading answers, tricky ones above all."""

import pytest

from unix_lib.evaluate.answers import parse_option, parse_yes_no, read_as, why_wrong

OPTIONS = {"A": "red", "B": "green", "C": "a circle", "D": "none"}


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"),
        ("a.", "A"),
        (" b ", "B"),
        ("(C)", "C"),
        ("D\n", "D"),
        ("B. green", "B"),
        ("(b) green", "B"),
        ("c: a circle", "C"),
        ("The answer is B", "B"),
        ("The answer is (d).", "D"),
        ("Answer: b", "B"),
        ("the answer is A because it is red", "A"),
        ("B is right", "B"),
        ("A is right", "A"),
        ("A red one", "A"),  # by the option's text: here A is the article
        ("I would choose option C, I think", "C"),
        ("It must be D.", "D"),
        ("green", "B"),
        ("The color is Green!", "B"),
        ("It shows a circle", "C"),
        # What `[A-D]`, ignoring case, would read a letter out of:
        ("apple", None),
        ("Because", None),
        ("a dog and a cat", None),
        ("A dog", None),
        ("the answer is a dog", None),
        ("cab", None),
        ("I don't know", None),
        # No single answer:
        ("A or B", None),
        ("red or green", None),
        ("", None),
        ("...", None),
        ("E", None),
        ("The answer is F", None),
        ("colored", None),  # "red" inside a word is no option
    ],
)
def test_options(text, letter):
    assert parse_option(text, OPTIONS) == letter


def test_a_letter_that_was_not_offered_is_no_answer():
    assert parse_option("C", {"A": "yes", "B": "no"}) is None
    assert parse_option("B", {"A": "yes", "B": "no"}) == "B"


def test_an_option_is_matched_literally():
    assert parse_option("it is 1.5", {"A": "1.5", "B": "125"}) == "A"
    assert parse_option("it is (x)", {"A": "(x)", "B": "[y]"}) == "A"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yes", "yes"),
        ("No.", "no"),
        ("YES", "yes"),
        ("Yes, there is no dog", "yes"),
        ("No: yes would be wrong", "no"),
        ("There is no dog", "no"),
        ("I say yes", "yes"),
        ("\n yes", "yes"),
        ("yes and no", "yes"),
        ("either yes or no", None),
        ("yesterday", None),
        ("nothing, none, know", None),
        ("", None),
        ("maybe", None),
    ],
)
def test_yes_no(text, answer):
    assert parse_yes_no(text) == answer


@pytest.mark.parametrize("reading", ["yes", "no", None])
@pytest.mark.parametrize("expected", ["yes", "no"])
def test_a_sample_keeps_what_its_answer_was_read_as(reading: str | None, expected: str) -> None:
    reason = why_wrong(reading, expected)
    assert (reason == "") == (reading == expected)
    assert read_as("Well, no.", expected, reason) == reading


def test_a_reason_of_another_kind_leaves_the_models_words() -> None:
    assert read_as("classes", "methods", "another choice is more probable") == "classes"

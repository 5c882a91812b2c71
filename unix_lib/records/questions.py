"""The wording of a choice question: one place, so that training and evaluation show the model the same text."""

from collections.abc import Mapping

LETTERS = ("A", "B", "C", "D")


def choice_prompt(question: str, options: Mapping[str, str]) -> str:
    """The question, then one line per option, letter -> text: `A. red`. The answer to it is a letter."""
    return "\n".join([question, *(f"{letter}. {option}" for letter, option in options.items())])

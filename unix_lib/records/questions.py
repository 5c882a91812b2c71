"""The wording of a four-choice question: one place, so that training and evaluation show the model the same text."""

LETTERS = ("A", "B", "C", "D")


def four_choice_prompt(question: str, options: list[str]) -> str:
    """The question, then one line per option: `A. red`. The answer to it is a letter."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines])

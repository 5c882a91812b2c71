"""At which steps of a run a checkpoint is kept: steps, shares of the run, or every so much of it."""

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

MOST_STEPS = 100_000_000
Step = Annotated[int, Field(ge=0, le=MOST_STEPS)]
SHARE = r"^\d{1,3}(\.\d{1,6})?%$"
_SHARE: dict[str, Any] = {"type": "string", "pattern": SHARE}
_STEP: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MOST_STEPS}
# What a config may say; whoever reads it has steps.
Checkpoints = Annotated[
    list[Step],
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": {"anyOf": [_STEP, _SHARE]}},
                {
                    "type": "object",
                    "properties": {"every": _SHARE, "at_start": {"type": "boolean"}},
                    "required": ["every"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


def steps_of(given: Any, total_steps: int) -> Any:
    """The steps behind `[25%, 100%]` or `{every: 5%, at_start: true}`; anything else as it is given.

    Every share of the run that fits, and its end; `at_start` adds the initialised model, step 0.

    Raises:
        ValueError: no share, or one that is less than a step.
    """
    if isinstance(given, list):
        return [_step(share_of(one), total_steps) if isinstance(one, str) else one for one in given]
    if not isinstance(given, dict):
        return given
    if unknown := given.keys() - {"every", "at_start"}:
        raise ValueError(f"checkpoints: unknown key '{min(map(str, unknown))}'; known: every, at_start")
    share = share_of(given.get("every"))
    if not 0 < share <= 1 or share * total_steps < 1:
        least = f"{100 / total_steps:.3g}%"
        raise ValueError(
            f"checkpoints every {given['every']} of {total_steps} steps; a step is {least}, give that or more"
        )
    whole = [_step(count * share, total_steps) for count in range(1, int(1 / share) + 1)]
    return [*[0] * bool(given.get("at_start")), *whole, *[total_steps] * (whole[-1] < total_steps)]


def share_of(text: Any) -> Fraction:
    """`12.5%` as a fraction.

    Raises:
        ValueError: it is written otherwise, or more than the whole.
    """
    if not isinstance(text, str) or not re.fullmatch(SHARE, text) or Fraction(text[:-1]) > 100:
        raise ValueError(f"checkpoints: {text!r} is no share of the run; write it as 5% or 12.5%")
    return Fraction(text[:-1]) / 100


def _step(share: Fraction, total_steps: int) -> int:
    """The nearest step."""
    return int(share * total_steps + Fraction(1, 2))

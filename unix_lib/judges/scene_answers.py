"""Answers the yes/no questions of a `shapes` source by the objects that were seen in an image."""

from collections.abc import Sequence
from functools import cache

from unix_lib.judges.judge import Detection
from unix_lib.sources.shapes.kind import ShapesScenes
from unix_lib.sources.shapes.palette import COLORS
from unix_lib.sources.shapes.questions import NO, Question, yes_no_questions
from unix_lib.sources.shapes.scenes import SHAPES, Scene, SceneObject

CANT_TELL = "I can't tell"


@cache
def _questions() -> dict[str, Question]:
    """Every such question by its text."""
    everything = ShapesScenes(colors=list(COLORS), shapes=list(SHAPES))
    return {question.text: question for question in yes_no_questions(everything)}


def answer_to(question: str, seen: Sequence[Detection]) -> str:
    """yes or no; no where the question doesn't apply, such as one about a circle that is not there."""
    known = _questions().get(question)
    if known is None:
        return CANT_TELL
    things = [SceneObject(each.color, each.name, each.size, *each.centre, _radius(each)) for each in seen]
    return known.answer(Scene(tuple(things))) or NO


def _radius(seen: Detection) -> float:
    left, top, right, bottom = seen.box
    return max(right - left, bottom - top) / 2

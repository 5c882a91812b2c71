"""Asks questions about a scene whose answers its ground truth knows.

Every question that can be asked in a space of scenes can answer itself for a scene, or say that it does not apply.
Training conversations and benchmarks draw from the same list, so their wording is the same.

The trade-off: a four-choice question lists its options in a fixed order. # ASSUME: a model of a million parameters
learns which letter stands for "red" under a question, but not to look a shuffled letter up.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from unix_lib.records.questions import LETTERS, choice_prompt
from unix_lib.sources.shapes.captions import plural
from unix_lib.sources.shapes.combinations import COUNTS, Combination
from unix_lib.sources.shapes.kind import ShapesScenes
from unix_lib.sources.shapes.palette import COLORS
from unix_lib.sources.shapes.scenes import OPPOSITE, RELATIONS, Scene, SceneObject, relations_between

YES, NO = "yes", "no"
HOW_MANY = ("none", "one", "two", "three")
PLACES = ("top left", "top right", "bottom left", "bottom right")
SIDES = ("left", "right", "above", "below")
# Scenes without a repeated shape, five of six, that may be asked "how many": the rest would drown two and three.
HOW_MANY_SHARE = 0.4
CLEAR_OF_MIDDLE = 1 / 16  # share of the image's side: nearer to the middle line, a place can't be told


@dataclass(frozen=True)
class Question:
    """A question, its options when there are four, and the rule that answers it.

    `affirms` is the combination that a scene with the answer "yes" contains: where it is held out, every answer in
    training would be "no", so the question is not asked there.
    """

    category: str
    text: str
    answer: Callable[[Scene], str | None]  # "yes", "no" or one of the options; None where it does not apply
    options: tuple[str, ...] = ()
    affirms: Combination | None = None

    @property
    def prompt(self) -> str:
        """What the model is shown."""
        return choice_prompt(self.text, dict(zip(LETTERS, self.options, strict=True))) if self.options else self.text

    def reply(self, answer: str) -> str:
        """What the model should say: the answer itself, or its letter."""
        return LETTERS[self.options.index(answer)] if self.options else answer


def yes_no_questions(space: ShapesScenes) -> list[Question]:
    """Categories existence, count, position and color, MME's names for them."""
    questions = []
    for shape in space.shapes:
        questions.append(Question("existence", f"Is there a {shape}?", partial(_exists, shape, None)))
        for word, count in COUNTS.items():
            questions.append(Question("count", f"Are there {word} {plural(shape)}?", partial(_counts, shape, count)))
        for color in space.colors:
            article = "an" if color[0] in "aeiou" else "a"
            questions.append(
                Question("existence", f"Is there {article} {color} {shape}?", partial(_exists, shape, color))
            )
            questions.append(Question("color", f"Is the {shape} {color}?", partial(_has_color, shape, color)))
    for a, b in itertools.permutations(space.shapes, 2):
        for relation in RELATIONS:
            stated = (a, relation, b) if relation in ("left of", "above") else (b, OPPOSITE[relation], a)
            questions.append(
                Question(
                    "position",
                    f"Is the {a} {relation} the {b}?",
                    partial(_is_related, a, relation, b),
                    affirms=("position", *stated),
                )
            )
    return questions


def four_choice_questions(space: ShapesScenes) -> list[Question]:
    """Categories color, count, location and relation."""
    questions = []
    for shape in space.shapes:
        for group in _color_groups(space.colors):
            questions.append(Question("color", f"What color is the {shape}?", partial(_color_of, shape, group), group))
        questions.append(Question("count", f"How many {plural(shape)} are there?", partial(_how_many, shape), HOW_MANY))
        questions.append(
            Question("location", f"Where is the {shape}?", partial(_place_of, shape, space.image_size), PLACES)
        )
    for a, b in itertools.permutations(space.shapes, 2):
        questions.append(Question("relation", f"Where is the {a} from the {b}?", partial(_side_of, a, b), SIDES))
    return questions


def choose_turns(
    scene: Scene, questions: list[Question], held_out: set[Combination], count: int, rng: random.Random
) -> list[tuple[str, str]]:
    """At most `count` different (prompt, reply) pairs about a scene, for training.

    First a category is drawn, then an answer out of those possible, then a question with that answer: "yes" is as
    frequent as "no", and a yes/no category that leaves no choice in this scene is not asked about. "How many" is
    asked so that none, one, two and three are about equally frequent.
    """
    by_category: dict[tuple[str, bool], dict[str, list[Question]]] = {}
    for question in questions:
        answer = question.answer(scene)
        if answer is not None and question.affirms not in held_out:
            answers = by_category.setdefault((question.category, bool(question.options)), {})
            answers.setdefault(answer, []).append(question)
    how_many = by_category[("count", True)]
    several = {answer: asked for answer, asked in how_many.items() if answer in HOW_MANY[2:]}
    if several:
        by_category[("count", True)] = several
    elif rng.random() > HOW_MANY_SHARE:
        del by_category[("count", True)]
    askable = sorted(key for key, answers in by_category.items() if key[1] or len(answers) == 2)
    turns: list[tuple[str, str]] = []
    for category in rng.sample(askable, min(count, len(askable))):
        answer = rng.choice(sorted(by_category[category]))
        question = rng.choice(by_category[category][answer])
        turns.append((question.prompt, question.reply(answer)))
    return turns


def _color_groups(colors: list[str]) -> list[tuple[str, ...]]:
    """Groups of four colours, in the palette's order, that together offer every colour in use."""
    ordered = [color for color in COLORS if color in colors]
    offered = ordered + [color for color in COLORS if color not in colors] if len(ordered) < 4 else ordered
    starts = [min(start, max(len(ordered), 4) - 4) for start in range(0, len(ordered), 4)]
    return [tuple(offered[start : start + 4]) for start in starts]


def _yes(value: bool) -> str:
    return YES if value else NO


def _exists(shape: str, color: str | None, scene: Scene) -> str:
    return _yes(any(color in (None, thing.color) for thing in scene.of_shape(shape)))


def _counts(shape: str, count: int, scene: Scene) -> str | None:
    found = len(scene.of_shape(shape))
    return _yes(found == count) if found else None


def _only(scene: Scene, shape: str) -> SceneObject | None:
    """The scene's object of a shape; None where it has none, or several."""
    found = scene.of_shape(shape)
    return found[0] if len(found) == 1 else None


def _has_color(shape: str, color: str, scene: Scene) -> str | None:
    thing = _only(scene, shape)
    return None if thing is None else _yes(thing.color == color)


def _the_relation(scene: Scene, a: str, b: str) -> str | None:
    """The one relation of the only `a` to the only `b`; None where there are more, or two relations hold."""
    first, second = _only(scene, a), _only(scene, b)
    held = relations_between(first, second) if first and second else set()
    return held.pop() if len(held) == 1 else None


def _is_related(a: str, relation: str, b: str, scene: Scene) -> str | None:
    held = _the_relation(scene, a, b)
    return None if held is None else _yes(held == relation)


def _side_of(a: str, b: str, scene: Scene) -> str | None:
    held = _the_relation(scene, a, b)
    return None if held is None else SIDES[RELATIONS.index(held)]


def _color_of(shape: str, options: tuple[str, ...], scene: Scene) -> str | None:
    thing = _only(scene, shape)
    return thing.color if thing is not None and thing.color in options else None


def _how_many(shape: str, scene: Scene) -> str:
    return HOW_MANY[len(scene.of_shape(shape))]


def _place_of(shape: str, image_size: int, scene: Scene) -> str | None:
    thing = _only(scene, shape)
    if thing is None:
        return None
    x, y = thing.x - image_size / 2, thing.y - image_size / 2
    if min(abs(x), abs(y)) < CLEAR_OF_MIDDLE * image_size:
        return None
    return PLACES[2 * (y > 0) + (x > 0)]

"""Captions and questions read word by word and judged from the scene: an independent reading of what they say."""

import itertools
import re

NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
SIZES = ("small", "large")


def relations(a, b):
    """GenEval's rule, written out once more from its description: boxes, 0.1 of both sides off, half must remain."""
    dx, dy = a.x - b.x, a.y - b.y
    norm = (dx * dx + dy * dy) ** 0.5
    slack = 0.1 * (2 * a.radius + 2 * b.radius)
    said = []
    for offset, negative, positive in ((dx, "left of", "right of"), (dy, "above", "below")):
        rest = abs(offset) - slack
        if rest > 0 and rest / norm > 0.5:
            said.append(negative if offset < 0 else positive)
    return said


def thing(words):
    """("a small red circle") -> (count, size, color, shape), None where nothing is said."""
    first, *rest = words.split()
    shape = rest.pop()
    count = NUMBERS[first]
    if count > 1:
        shape = re.sub(r"(?<=s)es$|s$", "", shape)
    size = rest.pop(0) if rest and rest[0] in SIZES else None
    color = rest.pop(0) if rest else None
    assert not rest, words
    return count, size, color, shape


def matching(scene, said):
    _, size, color, shape = said
    return [o for o in scene.objects if o.shape == shape and size in (None, o.size) and color in (None, o.color)]


def is_true(caption, scene):
    """Whether a caption is true of a scene, numbers taken as exact."""
    body = caption.removeprefix("a photo of ")
    assert body != caption
    related = re.fullmatch(r"(an? \w+) (left of|right of|above|below) (an? \w+)", body)
    if related:
        first, relation, second = related.groups()
        pairs = itertools.product(matching(scene, thing(first)), matching(scene, thing(second)))
        return any(relation in relations(a, b) for a, b in pairs)
    parts = [thing(part) for part in body.split(" and ")]
    return all(len(matching(scene, part)) == part[0] for part in parts)


def answer(question, scene):
    """The true answer to a question by its words."""

    def only(shape):
        (found,) = (o for o in scene.objects if o.shape == shape)
        return found

    def number(shape):
        return sum(o.shape == shape for o in scene.objects)

    forms = {
        r"Is there (an? [\w ]+)\?": lambda said: bool(matching(scene, thing(said))),
        r"Are there (two|three) (\w+)s\?": lambda count, shape: number(shape) == NUMBERS[count],
        r"Is the (\w+) (left of|right of|above|below) the (\w+)\?": lambda a, relation, b: (
            relation in relations(only(a), only(b))
        ),
        r"Is the (\w+) (\w+)\?": lambda shape, color: only(shape).color == color,
        r"What color is the (\w+)\?": lambda shape: only(shape).color,
        r"How many (\w+)s are there\?": lambda shape: ("none", "one", "two", "three")[number(shape)],
        r"Where is the (\w+) from the (\w+)\?": lambda a, b: " ".join(relations(only(a), only(b))).removesuffix(" of"),
        r"Where is the (\w+)\?": lambda shape: (
            f"{'top' if only(shape).y < 16 else 'bottom'} {'left' if only(shape).x < 16 else 'right'}"
        ),
    }
    for form, rule in forms.items():
        if found := re.fullmatch(form, question):
            value = rule(*found.groups())
            return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    raise AssertionError(f"no such form of question: {question}")

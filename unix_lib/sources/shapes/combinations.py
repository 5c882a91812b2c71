"""Chooses the combinations of attributes that are never trained, for each of GenEval's tasks.

A scene *contains* a combination whatever its caption says, so the split is by what is visible.

The trade-off: a held-out prompt must ask for something new that is made of known parts, and the parts that a model of
image codes knows are codes, each of a coloured shape's piece. So every coloured shape is trained in each size, and
what is held out is its company: a red circle that is never seen alone is seen beside others, one pair of colours never
meets on a circle and a square, one relation never holds between two shapes.
"""

import itertools
import random
from collections import Counter
from collections.abc import Hashable

from unix_lib.sources.errors import SourceError
from unix_lib.sources.shapes.scenes import SIZES, Scene, relations_between

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")  # GenEval's tags
COUNTS = {"two": 2, "three": 3}

# (task, value, ...):
#   single_object: size, colour, shape of a lone object   colors: colour, shape of a lone object
#   counting: count word, colour, shape                   two_object: size, shape, size, shape (shapes sorted)
#   position: shape, "left of" | "above", shape           color_attr: colour, shape, colour, shape (shapes sorted)
Combination = tuple[str, ...]
HeldOut = dict[str, list[Combination]]  # by task


def combinations_in(scene: Scene) -> set[Combination]:
    """Every combination that a scene contains."""
    found: set[Combination] = set()
    words = {count: word for word, count in COUNTS.items()}
    if len(scene.objects) == 1:
        (thing,) = scene.objects
        found |= {("colors", thing.color, thing.shape), ("single_object", thing.size, thing.color, thing.shape)}
    for (color, shape), count in scene.counts().items():
        if count in words:
            found.add(("counting", words[count], color, shape))
    for a, b in itertools.permutations(scene.objects, 2):
        if a.shape == b.shape:
            continue
        if a.shape < b.shape:
            found.add(("two_object", a.size, a.shape, b.size, b.shape))
            found.add(("color_attr", a.color, a.shape, b.color, b.shape))
        found.update(("position", a.shape, r, b.shape) for r in relations_between(a, b) & {"left of", "above"})
    return found


def choose_held_out(colors: list[str], shapes: list[str], share: float, seed: int) -> HeldOut:
    """Hold out a seeded share of each task's combinations, at least one.

    A lone object whose colour and shape are held out is not held out once more in one size.

    Raises:
        SourceError: the colours and shapes allow no held-out combination of some task.
    """
    pairs = list(itertools.combinations(sorted(shapes), 2))
    rarity: Counter[Hashable] = Counter()  # how often each value was held out, over all tasks
    colored = [(c, s) for c in colors for s in shapes]
    colors_out = _hold_out([("colors", *pair) for pair in colored], share, seed, rarity)
    candidates: dict[str, list[Combination]] = {
        "single_object": [
            ("single_object", size, c, s) for size in SIZES for c, s in colored if ("colors", c, s) not in colors_out
        ],
        "counting": [("counting", word, c, s) for word in COUNTS for c, s in colored],
        "two_object": [("two_object", m, a, n, b) for a, b in pairs for m in SIZES for n in SIZES],
        "position": [
            ("position", a, relation, b)
            for a, b in itertools.permutations(sorted(shapes), 2)
            for relation in ("left of", "above")
        ],
        "color_attr": [("color_attr", c, a, d, b) for a, b in pairs for c in colors for d in colors],
    }
    held_out = {"colors": colors_out}
    for task, combinations in candidates.items():
        held_out[task] = _hold_out(combinations, share, seed, rarity)
    return {task: held_out[task] for task in TASKS}


def _hold_out(combinations: list[Combination], share: float, seed: int, rarity: Counter[Hashable]) -> list[Combination]:
    """A seeded choice that leaves in training at least half of the combinations of every value.

    Values that were held out least so far go first, so that no colour or shape becomes rare in training.
    """
    task = combinations[0][0]
    order = sorted(combinations)
    random.Random(f"{seed}/held-out/{task}").shuffle(order)
    target = max(1, round(share * len(combinations)))
    total = Counter(value for combination in combinations for value in _values(combination))
    kept = Counter(total)
    chosen: list[Combination] = []
    while len(chosen) < target:
        possible = [c for c in order if all(kept[value] - 1 >= total[value] / 2 for value in _values(c))]
        if not possible:
            break
        choice = min(possible, key=lambda c: sum(rarity[part] for part in c[1:]))
        order.remove(choice)
        kept.subtract(_values(choice))
        rarity.update(choice[1:])
        chosen.append(choice)
    if not chosen:
        raise SourceError(
            f"shapes: no combination of task '{task}' can be held out and still leave half of each value's in "
            f"training; give more colors or shapes"
        )
    return sorted(chosen)


def _values(combination: Combination) -> set[Hashable]:
    """What must stay frequent in training when the combination is held out."""
    task, *parts = combination
    if task in ("single_object", "counting"):
        return {*parts, (parts[1], parts[2])}  # each coloured shape stays in some size, some count
    if task == "two_object":
        return {(parts[0], parts[1]), (parts[2], parts[3]), (parts[1], parts[3])}
    if task == "position":
        return {("first", parts[0]), ("second", parts[2]), parts[1], frozenset((parts[0], parts[2]))}
    return {*parts}

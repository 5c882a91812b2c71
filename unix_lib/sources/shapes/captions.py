"""Captions scenes in GenEval's six kinds, as claims that can be checked against a scene.

A claim is the caption's text and what it says, both in full (`holds`) and in the layout of GenEval's prompt metadata
(`metadata`). As in GenEval, the metadata of a task test that task's property only: "a photo of a small circle" is
judged by its circle.
"""

import random
from dataclasses import dataclass
from typing import Any

from unix_lib.sources.shapes.combinations import COUNTS, Combination
from unix_lib.sources.shapes.scenes import OPPOSITE, SIZES, Scene, SceneObject, relations_between

TASKS_WITH_COLOR = ("colors", "color_attr")


@dataclass(frozen=True)
class Clause:
    """Objects that a caption speaks of; `relation` is to the claim's first clause."""

    shape: str
    count: int = 1
    color: str | None = None
    size: str | None = None
    relation: str | None = None

    def matches(self, thing: SceneObject) -> bool:
        return thing.shape == self.shape and self.color in (None, thing.color) and self.size in (None, thing.size)


@dataclass(frozen=True)
class Claim:
    """A caption and what it says."""

    task: str
    prompt: str
    clauses: tuple[Clause, ...]

    def metadata(self) -> dict[str, Any]:
        """GenEval's prompt metadata: tag, include, exclude, prompt."""
        include: list[dict[str, Any]] = []
        for clause in self.clauses:
            entry: dict[str, Any] = {"class": clause.shape, "count": clause.count}
            if self.task in TASKS_WITH_COLOR:
                entry["color"] = clause.color
            if clause.relation is not None:
                entry["position"] = [clause.relation, 0]
            include.append(entry)
        exclude = [{"class": c.shape, "count": c.count + 1} for c in self.clauses if self.task == "counting"]
        values = {"tag": self.task, "include": include, "prompt": self.prompt}
        return values | ({"exclude": exclude} if exclude else {})


def holds(claim: Claim, scene: Scene) -> bool:
    """Whether all that a claim says is true of a scene; a counted shape must occur exactly that often."""
    first = [thing for thing in scene.objects if claim.clauses[0].matches(thing)]
    for clause in claim.clauses:
        found = [thing for thing in scene.objects if clause.matches(thing)]
        if len(found) < clause.count:
            return False
        if claim.task == "counting" and len(scene.of_shape(clause.shape)) != clause.count:
            return False
        if clause.relation is not None and not any(
            clause.relation in relations_between(thing, target) for thing in found for target in first
        ):
            return False
    return True


def claims_of_scene(scene: Scene, task: str) -> list[Claim]:
    """Every caption of the task's kind that a scene drawn for the task may get."""
    first, last = scene.objects[0], scene.objects[-1]
    if task == "single_object":
        color, size, shape = first.color, first.size, first.shape
        return [_single(shape), _single(shape, size), _single(shape, size, color)]
    if task == "colors":
        return [_colored(first.color, first.shape)]
    if task == "counting":
        word = {count: word for word, count in COUNTS.items()}[len(scene.objects)]
        return [_counted(word, first.shape), _counted(word, first.shape, first.color)]
    if task == "position":
        relation = next(iter(relations_between(first, last)))
        return _related(first.shape, relation, last.shape)
    orders = ((first, last), (last, first))
    if task == "two_object":
        plain = [_pair((None, a.shape), (None, b.shape)) for a, b in orders]
        return plain + [_pair((a.size, a.shape), (b.size, b.shape)) for a, b in orders]
    return [_colored_pair((a.color, a.shape), (b.color, b.shape)) for a, b in orders]


def claims_of_combination(combination: Combination) -> list[Claim]:
    """Every caption that says a combination in full, each text once."""
    task, *parts = combination
    if task == "single_object":
        size, color, shape = parts
        return [_single(shape, size, color)]
    if task == "colors":
        color, shape = parts
        return [_colored(color, shape)] + [_colored(color, shape, size) for size in SIZES]
    if task == "counting":
        word, color, shape = parts
        return [_counted(word, shape, color)]
    if task == "position":
        return _related(*parts)
    first, second = (parts[0], parts[1]), (parts[2], parts[3])
    build = _pair if task == "two_object" else _colored_pair
    return [build(first, second), build(second, first)]


def choose_caption(scene: Scene, task: str, rng: random.Random, combination: Combination | None = None) -> Claim:
    """One caption of a scene at random; for a held-out scene one that says its combination."""
    if combination is None:
        return rng.choice(claims_of_scene(scene, task))
    return rng.choice([claim for claim in claims_of_combination(combination) if holds(claim, scene)])


def plural(shape: str) -> str:
    return shape + ("es" if shape.endswith("s") else "s")


def _article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _words(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None)


def _single(shape: str, size: str | None = None, color: str | None = None) -> Claim:
    return Claim(
        "single_object", f"a photo of {_article(_words(size, color, shape))}", (Clause(shape, 1, color, size),)
    )


def _colored(color: str, shape: str, size: str | None = None) -> Claim:
    return Claim("colors", f"a photo of {_article(_words(size, color, shape))}", (Clause(shape, 1, color, size),))


def _counted(word: str, shape: str, color: str | None = None) -> Claim:
    return Claim("counting", f"a photo of {_words(word, color, plural(shape))}", (Clause(shape, COUNTS[word], color),))


def _pair(first: tuple[str | None, str], second: tuple[str | None, str]) -> Claim:
    prompt = f"a photo of {_article(_words(*first))} and {_article(_words(*second))}"
    return Claim("two_object", prompt, tuple(Clause(shape, size=size) for size, shape in (first, second)))


def _colored_pair(first: tuple[str, str], second: tuple[str, str]) -> Claim:
    prompt = f"a photo of {_article(_words(*first))} and {_article(_words(*second))}"
    return Claim("color_attr", prompt, tuple(Clause(shape, color=color) for color, shape in (first, second)))


def _related(a: str, relation: str, b: str) -> list[Claim]:
    return [
        Claim(
            "position",
            f"a photo of {_article(subject)} {word} {_article(target)}",
            (Clause(target), Clause(subject, relation=word)),
        )
        for subject, word, target in ((a, relation, b), (b, OPPOSITE[relation], a))
    ]

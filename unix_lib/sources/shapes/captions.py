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
        return [_alone(task, shape), _alone(task, shape, size), _alone(task, shape, size, color)]
    if task == "colors":
        return [_alone(task, first.shape, color=first.color)]
    if task == "counting":
        word = {count: word for word, count in COUNTS.items()}[len(scene.objects)]
        return [_counted(word, first.shape), _counted(word, first.shape, first.color)]
    if task == "position":
        relation = next(iter(relations_between(first, last)))
        return _related(first.shape, relation, last.shape)
    orders = ((first, last), (last, first))
    if task == "two_object":
        plain = [_pair(task, (None, a.shape), (None, b.shape)) for a, b in orders]
        return plain + [_pair(task, (a.size, a.shape), (b.size, b.shape)) for a, b in orders]
    return [_pair(task, (a.color, a.shape), (b.color, b.shape)) for a, b in orders]


def claims_of_combination(combination: Combination) -> list[Claim]:
    """Every caption that says a combination in full, each text once."""
    task, *parts = combination
    if task == "single_object":
        size, color, shape = parts
        return [_alone(task, shape, size, color)]
    if task == "colors":
        color, shape = parts
        return [_alone(task, shape, size, color) for size in (None, *SIZES)]
    if task == "counting":
        word, color, shape = parts
        return [_counted(word, shape, color)]
    if task == "position":
        return _related(*parts)
    first, second = (parts[0], parts[1]), (parts[2], parts[3])
    return [_pair(task, first, second), _pair(task, second, first)]


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


def _alone(task: str, shape: str, size: str | None = None, color: str | None = None) -> Claim:
    return Claim(task, f"a photo of {_article(_words(size, color, shape))}", (Clause(shape, 1, color, size),))


def _counted(word: str, shape: str, color: str | None = None) -> Claim:
    return Claim("counting", f"a photo of {_words(word, color, plural(shape))}", (Clause(shape, COUNTS[word], color),))


def _pair(task: str, first: tuple[str | None, str], second: tuple[str | None, str]) -> Claim:
    """Two things, each (attribute, shape); the attribute is a color in `color_attr`, else a size."""
    prompt = f"a photo of {_article(_words(*first))} and {_article(_words(*second))}"
    colored = task == "color_attr"
    clauses = [Clause(s, color=a) if colored else Clause(s, size=a) for a, s in (first, second)]
    return Claim(task, prompt, tuple(clauses))


def _related(a: str, relation: str, b: str) -> list[Claim]:
    return [
        Claim(
            "position",
            f"a photo of {_article(subject)} {word} {_article(target)}",
            (Clause(target), Clause(subject, relation=word)),
        )
        for subject, word, target in ((a, relation, b), (b, OPPOSITE[relation], a))
    ]

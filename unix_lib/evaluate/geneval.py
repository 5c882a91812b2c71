"""GenEval's verdict on an image, and its scores, as the benchmark's authors compute them.

A prompt's metadata (`tag, prompt, include, exclude`) are held against the objects that a judge saw. Knows nothing of
models or pixels (Ghosh et al. 2023, evaluation code djghosh13/geneval).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unix_lib.artefacts.files import canonical_json
from unix_lib.benchmarks.geneval_prompts import TASKS, Clause, Prompt
from unix_lib.evaluate.intervals import Estimate, bootstrap, mean_of_strata, wilson
from unix_lib.evaluate.tables import Score
from unix_lib.judges.judge import Detection

MAX_OBJECTS = 16  # PAPER: GenEval's code keeps the 16 most confident boxes of a class
OPPOSITE = {"right of": "left of", "below": "above"}
POSITION_TOLERANCE = 0.1  # PAPER: GenEval's code, share of both objects' sizes that an offset is reduced by
POSITION_THRESHOLD = 0.5  # PAPER: GenEval's code, share of the offset's length that counts as a direction


@dataclass(frozen=True)
class Verdict:
    """Whether an image shows its prompt, and if not, every reason."""

    correct: bool
    reason: str


def relative_positions(
    box: tuple[float, float, float, float], target: tuple[float, float, float, float]
) -> frozenset[str]:
    """Where `box` lies relative to `target`: any of left of, right of, above, below.

    The offset of the centres, reduced per axis by a tenth of both sizes, is divided by the raw offset's length;
    a component beyond one half names a direction, so a diagonal may have two.
    """
    reduced = []
    raw = []
    for axis in (0, 1):
        offset = (box[axis] + box[axis + 2] - target[axis] - target[axis + 2]) / 2
        tolerance = POSITION_TOLERANCE * (box[axis + 2] - box[axis] + target[axis + 2] - target[axis])
        raw.append(offset)
        reduced.append(math.copysign(max(abs(offset) - tolerance, 0.0), offset))
    length = math.hypot(*raw)
    if length == 0:
        return frozenset()
    x, y = reduced[0] / length, reduced[1] / length
    named = {
        "left of": x < -POSITION_THRESHOLD,
        "right of": x > POSITION_THRESHOLD,
        "above": y < -POSITION_THRESHOLD,
        "below": y > POSITION_THRESHOLD,
    }
    return frozenset(name for name, holds in named.items() if holds)


def confident(objects: Sequence[Detection], least: float | None) -> list[Detection]:
    """Objects that a judge is more confident of; all where nothing is asked."""
    return [seen for seen in objects if least is None or seen.confidence > least]


def judge(metadata: Prompt, objects: Sequence[Detection]) -> Verdict:
    """GenEval's verdict: all `include` clauses must hold, no `exclude` clause may.

    Of a class, only the `count` most confident objects are looked at, for colour and then for position.
    """
    by_class: dict[str, list[Detection]] = defaultdict(list)
    for seen in sorted(objects, key=lambda seen: -seen.confidence):
        if len(by_class[seen.name]) < MAX_OBJECTS:
            by_class[seen.name].append(seen)

    reasons: list[str] = []
    matched: list[list[Detection] | None] = []  # per clause, the objects that satisfy it
    for clause in metadata["include"]:
        name, count = clause["class"], clause["count"]
        found = by_class[name][:count]
        fault = _clause_fault(clause, found, matched)
        matched.append(None if fault else found)
        if fault:
            reasons.append(fault)
    for clause in metadata.get("exclude", []):
        found_count = len(by_class[clause["class"]])
        if found_count >= clause["count"]:
            reasons.append(f"expected {clause['class']}<{clause['count']}, found {found_count}")
    return Verdict(not reasons, "; ".join(reasons))


def _clause_fault(clause: Clause, found: list[Detection], matched: list[list[Detection] | None]) -> str | None:
    """Why an `include` clause fails, or None when it holds."""
    name, count = clause["class"], clause["count"]
    if len(found) < count:
        return f"expected {name}>={count}, found {len(found)}"
    color = clause.get("color")
    if color is not None and sum(seen.color == color for seen in found) < count:
        return f"expected {color} {name}>={count}, found {', '.join(seen.color for seen in found)}"
    if position := clause.get("position"):
        relation, target_index = position
        targets = matched[target_index]
        if targets is None:
            return f"no target for {name} to be {relation}"
        for seen in found:
            for target in targets:
                positions = relative_positions(seen.box, target.box)
                if relation not in positions:
                    return f"expected {name} {relation} target, found {' and '.join(sorted(positions)) or 'neither'}"
    return None


def shuffled_prompts(prompts: Sequence[Prompt], seed: int) -> list[int | None]:
    """For each prompt, another one of the same task whose images serve as its control.

    Prompts are put in a seeded order in which equal requirements stand together, then rotated by the largest
    number of equal ones: nobody gets an equal one as long as none makes up more than half of its task.

    Returns:
        Index of the other prompt; None where the task has no prompt left with another requirement.
    """
    requirements = [requirement(prompt) for prompt in prompts]
    rng = np.random.default_rng(seed)
    partner: list[int | None] = [None] * len(prompts)
    for task in dict.fromkeys(prompt["tag"] for prompt in prompts):
        groups: dict[str, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            if prompt["tag"] == task:
                groups[requirements[index]].append(index)
        names = list(groups)
        order = [
            int(index) for position in rng.permutation(len(names)) for index in rng.permutation(groups[names[position]])
        ]
        shift = max(len(group) for group in groups.values())
        for place, index in enumerate(order):
            other = order[(place + shift) % len(order)]
            partner[index] = None if requirements[other] == requirements[index] else other
    return partner


def requirement(prompt: Prompt) -> str:
    """What a prompt's metadata ask for, the same text for "A left of B" and "B right of A", "A and B" and "B and A"."""
    things = [[clause["class"], clause["count"], clause.get("color")] for clause in prompt["include"]]
    relations = []
    for clause, thing in zip(prompt["include"], things, strict=True):
        if position := clause.get("position"):
            relation, target = position
            pair = [thing, things[target]]
            relations.append(
                [relation, *pair] if relation in ("left of", "above") else [OPPOSITE[relation], *reversed(pair)]
            )
    exclude = [[clause["class"], clause["count"]] for clause in prompt.get("exclude", [])]
    return canonical_json([sorted(map(canonical_json, part)) for part in (things, relations, exclude)])


def samples_of(prompts: Sequence[Prompt]) -> list[str]:
    """Labels of prompts that are one sample: those that ask for the same thing, in whatever words.

    Where a whole task asks for one thing only, its texts are told apart: its interval then speaks of that one thing
    and not of others like it.
    """
    asked: dict[str, set[str]] = defaultdict(set)
    for prompt in prompts:
        asked[prompt["tag"]].add(requirement(prompt))
    return [
        canonical_json([prompt["tag"], requirement(prompt) if len(asked[prompt["tag"]]) > 1 else prompt["prompt"]])
        for prompt in prompts
    ]


def geneval_scores(
    tasks: np.ndarray, prompts: np.ndarray, values: np.ndarray, shuffled: np.ndarray, bootstrap_samples: int
) -> list[Score]:
    """Task scores, their mean, the mean against shuffled prompts, and the paired difference.

    Args:
        tasks: (N,) task of each image.
        prompts: (N,) label of each image's prompt, see `samples_of`; images of one label are resampled together.
        values: float (N,) 1 where the image is right.
        shuffled: float (N,) 1 where the image is right for another prompt of the task; NaN without a control.
        bootstrap_samples: resamples of each interval.
    """
    scores = [Score("overall", _share(values, prompts, tasks, bootstrap_samples))]
    for task in TASKS:
        of_task = tasks == task
        if of_task.any():
            scores.append(Score(task, _share(values[of_task], prompts[of_task], tasks[of_task], bootstrap_samples)))
    controlled = np.isfinite(shuffled)
    if controlled.any():
        values, shuffled, prompts, tasks = (each[controlled] for each in (values, shuffled, prompts, tasks))
        scores.append(Score("overall_shuffled", _share(shuffled, prompts, tasks, bootstrap_samples)))
        statistic = mean_of_strata(values - shuffled, tasks)
        paired = bootstrap(statistic, prompts, strata=tasks, samples=bootstrap_samples, bounds=(-1.0, 1.0))
        scores.append(Score("overall_minus_shuffled", paired, chance=0.0))
    return scores


def _share(values: np.ndarray, prompts: np.ndarray, tasks: np.ndarray, bootstrap_samples: int) -> Estimate:
    """Mean over tasks of the share of right images; its interval is never narrower than that of independent images.

    Two or three things asked for, all met or none, would otherwise seem to leave no doubt.
    """
    clustered = bootstrap(
        mean_of_strata(values, tasks),
        prompts,
        strata=tasks,
        samples=bootstrap_samples,
        bounds=(0.0, 1.0),
        span=0.0,
    )
    low, high = wilson(clustered.value * clustered.n, clustered.n)
    return replace(clustered, low=min(clustered.low, low), high=max(clustered.high, high))

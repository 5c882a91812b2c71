"""Scores of the question benchmarks as the paper's script, VLMEvalKit and lmms-eval add up what they have read.

Where they divide by nothing they say 0, and so do these. Each takes (answered, chance, samples) as
`unix_lib.evaluate.question_scores` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unix_lib.benchmarks.question_files import Question
from unix_lib.evaluate.intervals import Estimate, bootstrap, clustered_share, share
from unix_lib.evaluate.question_scores import (
    MME_COGNITION,
    Answered,
    all_right,
    mme_scores,
    multiple_choice_scores,
    ratio,
    summed,
    unreadable_share,
)
from unix_lib.evaluate.tables import Score, above_chance

ROTATIONS = 1_000_000  # MMBench: the index of a question's rotation is its own and a multiple of this


@dataclass(frozen=True)
class Asked(Answered):
    """`Answered`, with what else a question's row says."""

    pictures: np.ndarray  # str, what the file calls the image
    wider_categories: np.ndarray  # str
    splits: np.ndarray  # str
    groups: np.ndarray  # str, the same for all rotations of one question
    options: np.ndarray  # int, how many a question offers


def asked_of(questions: Sequence[Question], parsed: Sequence[str | None]) -> Asked:
    """Questions and what was read of their answers as columns."""
    return Asked(
        categories=np.array([question.category for question in questions]),
        images=np.array([question.image_id for question in questions]),
        expected=np.array([question.answer for question in questions], dtype=object),
        parsed=np.array(parsed, dtype=object),
        pictures=np.array([question.picture for question in questions]),
        wider_categories=np.array([question.wider_category for question in questions]),
        splits=np.array([question.split for question in questions]),
        groups=np.array([_group_of(question.index) for question in questions]),
        options=np.array([len(question.options) for question in questions]),
    )


def without_pair(questions: Sequence[Question]) -> list[bool]:
    """Which of MME's questions are not one of just two about an image in a category."""
    pairs = [f"{question.category}\t{question.picture}" for question in questions]
    _, of_pair, sizes = np.unique(pairs, return_inverse=True, return_counts=True)
    return [bool(size != 2) for size in sizes[of_pair]]


def paper_pope(answered: Asked, chance: float, samples: int) -> list[Score]:
    """Of the answers that were read."""
    read = answered.only(_is_read(answered))
    scores = above_chance("accuracy", _accuracy(read, samples), chance)
    return [*scores, *_of_yes(read, samples), unreadable_share(answered, samples)]


def vlmevalkit_pope(answered: Asked, chance: float, samples: int) -> list[Score]:
    """Overall and per split; a question of several splits counts in each, and overall once for each of them."""
    return _pope_by_split(answered, chance, samples, unread_is_no=True)


def lmms_eval_pope(answered: Asked, chance: float, samples: int) -> list[Score]:
    """Its data set has a row for each split of a question; recall leaves out what is not read.

    Its `yes_ratio` is of the right answers, not of those given.
    """
    scores = _pope_by_split(answered, chance, samples, unread_is_no=False)
    asked_yes = (_by_split(answered).expected == "yes").astype(np.float64)
    return [*scores, Score("yes_ratio", clustered_share(asked_yes, _by_split(answered).images, samples=samples))]


def tool_mme(answered: Asked, chance: float, samples: int) -> list[Score]:
    """As `mme_scores`, with the sum over the cognition tasks beside that over the others."""
    paired = replace(answered, images=answered.pictures)
    scores = mme_scores(paired, chance, samples)
    cognition = paired.only(np.isin(np.char.lower(paired.categories.astype(str)), MME_COGNITION))
    return [*scores, *([summed("cognition", cognition, chance, samples)] if len(cognition.categories) else [])]


def paper_mme(answered: Asked, chance: float, samples: int) -> list[Score]:
    """As `tool_mme`, but for accuracy, which is of the answers that were read."""
    read = _accuracy(answered.only(_is_read(answered)), samples)
    others = [score for score in tool_mme(answered, chance, samples) if score.metric not in _OVER_READ]
    return [*above_chance("accuracy", read, chance), *others]


def tool_mmbench(answered: Asked, chance: float, samples: int) -> list[Score]:
    """Over rows; and, where the file has rotations, over questions of which every rotation is right.

    Questions of which a rotation is missing are left out of the latter, and counted.
    """
    scores = multiple_choice_scores(answered, chance, samples)
    scores += _by_column("accuracy", answered, answered.correct, samples, chance, category=False)
    _, sizes = np.unique(answered.groups, return_counts=True)
    if (sizes == 1).all():
        return scores
    right, first = all_right(answered, answered.groups)
    whole = sizes >= answered.options[first]
    questions = answered.only(first[whole])
    right = right[whole]
    scores.append(Score("accuracy_circular", _mean(right, questions.images, samples)))
    scores += _by_column("accuracy_circular", questions, right, samples, None, category=True)
    if not whole.all():
        scores.append(Score("incomplete_questions", share(~whole)))
    return scores


_OVER_READ = ("accuracy", "accuracy_minus_chance")


def _group_of(index: str) -> str:
    return str(int(index) % ROTATIONS) if index.isascii() and index.isdecimal() else index


def _is_read(answered: Answered) -> np.ndarray:
    return np.array([reading is not None for reading in answered.parsed], dtype=bool)


def _accuracy(answered: Answered, samples: int) -> Estimate:
    return _mean(answered.correct, answered.images, samples)


def _mean(values: np.ndarray, clusters: np.ndarray, samples: int) -> Estimate:
    """Also of no values at all."""
    return bootstrap(ratio(values, np.ones(len(values))), clusters, samples=samples, bounds=(0.0, 1.0))


def _of_yes(answered: Answered, samples: int, *, unread_is_no: bool = True, of: str = "") -> list[Score]:
    asked_yes = (answered.expected == "yes").astype(np.float64)
    said_yes = (answered.parsed == "yes").astype(np.float64)
    hits = asked_yes * said_yes
    known_yes = asked_yes * (_is_read(answered) | unread_is_no)
    statistics = {
        "precision": ratio(hits, said_yes, 0.0),
        "recall": ratio(hits, known_yes, 0.0),
        "f1": ratio(2 * hits, known_yes + said_yes, 0.0),
    }
    return [
        Score(f"{metric}{of}", bootstrap(statistic, answered.images, samples=samples, bounds=(0.0, 1.0)))
        for metric, statistic in statistics.items()
    ]


def _by_split(answered: Asked) -> Asked:
    """A row for each of a question's categories."""
    splits = [str(categories).split(",") for categories in answered.categories]
    rows = np.repeat(np.arange(len(splits)), list(map(len, splits)))
    return replace(answered.only(rows), categories=np.array([name.strip() for names in splits for name in names]))


def _pope_by_split(answered: Asked, chance: float, samples: int, *, unread_is_no: bool) -> list[Score]:
    rows = _by_split(answered)
    scores = above_chance("accuracy", _accuracy(rows, samples), chance)
    scores += _of_yes(rows, samples, unread_is_no=unread_is_no)
    for name in dict.fromkeys(filter(None, rows.categories.tolist())):
        part = rows.only(rows.categories == name)
        scores.append(Score(f"accuracy_{name}", _accuracy(part, samples), chance))
        scores += _of_yes(part, samples, unread_is_no=unread_is_no, of=f"_{name}")
    return [*scores, unreadable_share(rows, samples)]


def _by_column(
    metric: str, answered: Asked, values: np.ndarray, samples: int, chance: float | None, *, category: bool
) -> list[Score]:
    """Means within each value of a column that has several."""
    columns = {"l2_": answered.wider_categories, "split_": answered.splits} | (
        {"": answered.categories} if category else {}
    )
    return [
        Score(
            f"{metric}_{prefix}{name}", _mean(values[column == name], answered.images[column == name], samples), chance
        )
        for prefix, column in columns.items()
        for name in (dict.fromkeys(filter(None, column.tolist())) if len(set(column.tolist())) > 1 else ())
    ]

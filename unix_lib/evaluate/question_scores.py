"""Scores of the question benchmarks, each as its authors compute them.

An answer that could not be read is None and counts as wrong, never as missing. Questions about one image are resampled
together.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from unix_lib.evaluate.intervals import Statistic, bootstrap, clustered_share
from unix_lib.evaluate.tables import Score, above_chance

# PAPER: MME's four cognition tasks, everything else counts for perception.
MME_COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


@dataclass(frozen=True)
class Answered:
    """Questions with their answers, as columns of equal length N."""

    categories: np.ndarray  # str
    images: np.ndarray  # str or int, the same for all questions about one image
    expected: np.ndarray  # str
    parsed: np.ndarray  # object: str or None

    @property
    def correct(self) -> np.ndarray:
        """float64 (N,), 1 where the parsed answer is the expected one."""
        return np.asarray(self.expected == self.parsed, dtype=np.float64)

    @property
    def images_by_category(self) -> np.ndarray:
        """str (N,), the same for all questions of one category about one image: clusters that keep each category's
        number of images."""
        return np.char.add(np.char.add(self.categories.astype(str), "\t"), self.images.astype(str))

    def only(self, chosen: np.ndarray) -> Self:
        """The questions where `chosen`, bool (N,), holds, or with these places, int."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))


def overall_accuracy(answered: Answered, chance: float, samples: int) -> list[Score]:
    return above_chance("accuracy", clustered_share(answered.correct, answered.images, samples=samples), chance)


def unreadable_share(answered: Answered, samples: int) -> Score:
    unread = np.array([answer is None for answer in answered.parsed], dtype=np.float64)
    return Score("unreadable_answers", clustered_share(unread, answered.images, samples=samples))


def ratio(numerator: np.ndarray, denominator: np.ndarray, undefined: float = np.nan) -> Statistic:
    """The statistic "sum of one over sum of the other", both float (N,)."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        below = weights @ denominator
        above = weights @ numerator
        return np.asarray(np.divide(above, below, out=np.full_like(above, undefined), where=below > 0))

    return statistic


def pope_scores(answered: Answered, chance: float, samples: int) -> list[Score]:
    """POPE: accuracy, and precision, recall and F1 of "yes" (Li et al. 2023); VLMEvalKit's "Overall" is F1.

    Here as below, `chance` is the accuracy of a blind guesser, and `samples` the number of bootstrap resamples.
    """
    asked_yes = (answered.expected == "yes").astype(np.float64)
    said_yes = (answered.parsed == "yes").astype(np.float64)
    hits = asked_yes * said_yes
    statistics = {
        "precision": ratio(hits, said_yes),
        "recall": ratio(hits, asked_yes),
        "f1": ratio(2 * hits, asked_yes + said_yes),
    }
    scores = overall_accuracy(answered, chance, samples)
    scores += [
        Score(name, bootstrap(statistic, answered.images, samples=samples, bounds=(0.0, 1.0)))
        for name, statistic in statistics.items()
    ]
    scores.append(Score("yes_share", clustered_share(said_yes, answered.images, samples=samples)))
    return [*scores, unreadable_share(answered, samples)]


def mme_scores(answered: Answered, chance: float, samples: int) -> list[Score]:
    """MME: accuracy and accuracy+ (all questions about an image right) per category, and the perception score.

    Perception is 100 x the sum over its categories of accuracy + accuracy+ (Fu et al. 2023), 2000 at most with
    MME's own ten categories. A blind guesser's accuracy+ is `chance` squared, since MME asks two questions an image.
    """
    scores = overall_accuracy(answered, chance, samples)
    categories = list(dict.fromkeys(answered.categories.tolist()))
    perception = [category for category in categories if category.lower() not in MME_COGNITION]
    for category in categories:
        part = answered.only(answered.categories == category)
        both, _ = all_right(part, part.images)
        accuracy = clustered_share(part.correct, part.images, samples=samples)
        scores.append(Score(f"accuracy_{category}", accuracy, chance))
        per_image = clustered_share(both, np.arange(len(both)), samples=samples)
        scores.append(Score(f"accuracy_plus_{category}", per_image, chance**2))
    if perception:
        scores.append(summed("perception", answered.only(np.isin(answered.categories, perception)), chance, samples))
    return [*scores, unreadable_share(answered, samples)]


def summed(metric: str, answered: Answered, chance: float, samples: int) -> Score:
    """100 x the sum of accuracy + accuracy+ over all categories."""
    categories = len(np.unique(answered.categories))
    most = 200.0 * categories
    estimate = bootstrap(
        _sum_of_categories(answered),
        answered.images_by_category,
        strata=answered.categories,
        samples=samples,
        bounds=(0.0, most),
        span=most,
    )
    return Score(metric, estimate, 100 * categories * (chance + chance**2))


def all_right(answered: Answered, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 (images,), 1 where every question about the image was answered right; and each image's first question."""
    _, first, image_of = np.unique(images, return_index=True, return_inverse=True)
    right = np.ones(len(first))
    np.minimum.at(right, image_of, answered.correct)
    return right, first


def _sum_of_categories(answered: Answered) -> Statistic:
    """100 x sum over categories of (accuracy + accuracy+), for weights that are equal within an image."""
    both, first = all_right(answered, answered.images_by_category)
    category_names = np.unique(answered.categories)
    of_question = (answered.categories[:, None] == category_names).astype(np.float64)  # (N, C)
    of_image = of_question[first]  # (images, C)

    def statistic(weights: np.ndarray) -> np.ndarray:
        image_weights = weights[:, first]
        accuracy = (weights @ (of_question * answered.correct[:, None])) / (weights @ of_question)
        accuracy_plus = (image_weights @ (of_image * both[:, None])) / (image_weights @ of_image)
        return np.asarray(100 * (accuracy + accuracy_plus).sum(axis=1))

    return statistic


def multiple_choice_scores(answered: Answered, chance: float, samples: int) -> list[Score]:
    """MMBench: accuracy over all questions (circular mode off), and per category where there are several."""
    scores = overall_accuracy(answered, chance, samples)
    return [*scores, *per_category(answered, chance, samples), unreadable_share(answered, samples)]


def seed_scores(answered: Answered, chance: float, samples: int) -> list[Score]:
    """SEED-Bench: mean over categories of accuracy."""
    # A photo may be asked about in two categories.
    clusters, strata = answered.images_by_category, answered.categories
    accuracy = clustered_share(answered.correct, clusters, strata=strata, samples=samples)
    return [
        *above_chance("accuracy", accuracy, chance),
        *per_category(answered, chance, samples),
        unreadable_share(answered, samples),
    ]


def per_category(answered: Answered, chance: float, samples: int) -> list[Score]:
    categories = list(dict.fromkeys(answered.categories.tolist()))
    if len(categories) < 2:
        return []
    parts = {category: answered.only(answered.categories == category) for category in categories}
    return [
        Score(f"accuracy_{category}", clustered_share(part.correct, part.images, samples=samples), chance)
        for category, part in parts.items()
    ]

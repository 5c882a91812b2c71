"""Question scores against scikit-learn and against counting by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from unix_lib.evaluate.question_scores import Answered, mme_scores, multiple_choice_scores, pope_scores, seed_scores


def answered(rows):
    """Rows of (category, image, expected, parsed)."""
    columns = list(zip(*rows, strict=True))
    return Answered(
        np.array(columns[0]),
        np.array(columns[1]),
        np.array(columns[2], dtype=object),
        np.array(columns[3], dtype=object),
    )


def by_metric(scores):
    return {score.metric: score for score in scores}


def test_pope_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    expected = rng.choice(["yes", "no"], 120)
    parsed = np.where(rng.random(120) < 0.7, expected, rng.choice(["yes", "no"], 120)).astype(object)
    parsed[rng.random(120) < 0.1] = None
    scores = by_metric(
        pope_scores(
            answered([("", i // 3, e, p) for i, (e, p) in enumerate(zip(expected, parsed, strict=True))]), 0.5, 500
        )
    )
    # Unreadable answers are wrong: neither a yes nor a no.
    said = np.array([p or "unreadable" for p in parsed])
    assert scores["accuracy"].estimate.value == pytest.approx(accuracy_score(expected, said))
    of_yes = {"labels": ["yes"], "average": "macro"}
    assert scores["precision"].estimate.value == pytest.approx(precision_score(expected, said, **of_yes))
    assert scores["recall"].estimate.value == pytest.approx(recall_score(expected, said, **of_yes))
    assert scores["f1"].estimate.value == pytest.approx(f1_score(expected, said, **of_yes))
    assert scores["unreadable_answers"].estimate.value == pytest.approx((said == "unreadable").mean())
    f1 = scores["f1"].estimate
    assert f1.low < f1.value < f1.high
    assert scores["accuracy_minus_chance"].estimate.value == pytest.approx(scores["accuracy"].estimate.value - 0.5)


def test_pope_without_a_yes_has_no_precision():
    scores = by_metric(pope_scores(answered([("", i, e, "no") for i, e in enumerate(["yes", "no", "no"])]), 0.5, 200))
    assert math.isnan(scores["precision"].estimate.value)
    assert scores["recall"].estimate.value == 0.0
    assert scores["f1"].estimate.value == 0.0
    assert scores["accuracy"].estimate.value == pytest.approx(2 / 3)


MME = [
    ("existence", "a", "yes", "yes"),
    ("existence", "a", "no", "no"),
    ("existence", "b", "yes", "yes"),
    ("existence", "b", "no", None),
    ("color", "a", "yes", "no"),
    ("color", "a", "no", "no"),
    ("code_reasoning", "c", "yes", "yes"),
    ("code_reasoning", "c", "no", "no"),
]


def test_mme_accuracy_plus_needs_both_answers_of_an_image():
    scores = by_metric(mme_scores(answered(MME), 0.5, 500))
    value = {metric: score.estimate.value for metric, score in scores.items()}
    assert (value["accuracy_existence"], value["accuracy_plus_existence"]) == (0.75, 0.5)
    assert (value["accuracy_color"], value["accuracy_plus_color"]) == (0.5, 0.0)
    assert (value["accuracy_code_reasoning"], value["accuracy_plus_code_reasoning"]) == (1.0, 1.0)
    # Cognition is no part of perception: 100 x (0.75 + 0.5 + 0.5 + 0).
    assert value["perception"] == pytest.approx(175)
    assert scores["accuracy_plus_color"].chance == 0.25
    assert scores["perception"].chance == pytest.approx(100 * 2 * 0.75)
    assert scores["accuracy_plus_existence"].estimate.n == 2


def test_mme_perception_of_a_perfect_model_is_200_a_category():
    rows = [(c, i // 2, e, e) for c in ("count", "position") for i, e in enumerate(["yes", "no"] * 10)]
    perception = by_metric(mme_scores(answered(rows), 0.5, 300))["perception"].estimate
    assert perception.value == 400
    assert perception.low < 400  # twenty images without a mistake don't prove perfection


def test_mme_perception_interval_covers_what_resampling_by_hand_gives():
    rng = np.random.default_rng(4)
    rows = [("count", i // 2, "yes", "yes" if rng.random() < 0.6 else "no") for i in range(80)]
    scores = by_metric(mme_scores(answered(rows), 0.5, 4000))
    right = np.array([row[2] == row[3] for row in rows]).reshape(40, 2)
    both, single = right.all(axis=1), right.mean(axis=1)
    drawn = rng.integers(0, 40, (4000, 40))
    by_hand = 100 * (single[drawn].mean(axis=1) + both[drawn].mean(axis=1))
    assert scores["perception"].estimate.standard_error == pytest.approx(by_hand.std(), rel=0.08)


CHOICES = [("color", i, "A", "A") for i in range(9)] + [
    ("count", 9, "B", "A"),
    ("count", 10, "C", None),
    ("count", 11, "D", "D"),
]


def test_mmbench_counts_questions_and_seed_counts_categories():
    mmbench = by_metric(multiple_choice_scores(answered(CHOICES), 0.25, 300))
    seed = by_metric(seed_scores(answered(CHOICES), 0.25, 300))
    assert mmbench["accuracy"].estimate.value == pytest.approx(10 / 12)
    assert seed["accuracy"].estimate.value == pytest.approx((1 + 1 / 3) / 2)
    for scores in (mmbench, seed):
        assert scores["accuracy_count"].estimate.value == pytest.approx(1 / 3)
        assert scores["unreadable_answers"].estimate.value == pytest.approx(1 / 12)
        assert scores["accuracy"].chance == 0.25

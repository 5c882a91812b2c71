"""GenEval's rules on detections made by hand."""

import numpy as np
import pytest

from unix_lib.benchmarks.geneval_prompts import TASKS, checked_prompt
from unix_lib.evaluate.geneval import (
    geneval_scores,
    judge,
    relative_positions,
    requirement,
    samples_of,
    shuffled_prompts,
)
from unix_lib.evaluate.intervals import wilson
from unix_lib.judges.judge import Detection
from unix_lib.records.lines import BadLine


def seen(name, color="red", box=(0, 0, 10, 10), confidence=0.9):
    return Detection(name, color, box, confidence)


def prompt(*include, exclude=(), tag="single_object", text="a photo"):
    return {"tag": tag, "prompt": text, "include": list(include), "exclude": list(exclude)}


CIRCLE = {"class": "circle", "count": 1}
SQUARE = {"class": "square", "count": 1}


def test_all_include_clauses_must_hold():
    both = prompt(CIRCLE, SQUARE)
    assert judge(both, [seen("circle"), seen("square")]).correct
    verdict = judge(both, [seen("circle")])
    assert not verdict.correct
    assert verdict.reason == "expected square>=1, found 0"
    assert judge(both, []).reason == "expected circle>=1, found 0; expected square>=1, found 0"


def test_more_objects_than_asked_for_are_fine_unless_excluded():
    two = {"class": "circle", "count": 2}
    three = [seen("circle"), seen("circle"), seen("circle")]
    assert judge(prompt(two), three).correct
    verdict = judge(prompt(two, exclude=[{"class": "circle", "count": 3}]), three)
    assert verdict.reason == "expected circle<3, found 3"
    assert judge(prompt(two, exclude=[{"class": "circle", "count": 3}]), three[:2]).correct
    assert not judge(prompt(two), three[:1]).correct


def test_any_exclude_clause_is_enough_to_fail():
    metadata = prompt(CIRCLE, exclude=[{"class": "cross", "count": 1}, {"class": "square", "count": 1}])
    assert not judge(metadata, [seen("circle"), seen("square")]).correct
    assert judge(metadata, [seen("circle"), seen("triangle")]).correct


def test_color_is_asked_of_the_most_confident_objects_only():
    red = prompt(CIRCLE | {"color": "red"})
    assert judge(red, [seen("circle", "red", confidence=0.9), seen("circle", "blue", confidence=0.8)]).correct
    verdict = judge(red, [seen("circle", "red", confidence=0.8), seen("circle", "blue", confidence=0.9)])
    assert verdict.reason == "expected red circle>=1, found blue"
    assert not judge(red, [seen("square", "red")]).correct


def test_only_the_sixteen_most_confident_objects_count():
    many = [seen("circle", confidence=i / 20) for i in range(20)]
    metadata = prompt(CIRCLE, exclude=[{"class": "circle", "count": 17}])
    assert judge(metadata, many).correct


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 20, 10, 30), {"left of"}),
        ((40, 20, 50, 30), {"right of"}),
        ((20, 0, 30, 10), {"above"}),
        ((20, 40, 30, 50), {"below"}),
        ((0, 0, 10, 10), {"left of", "above"}),  # offset 20, 20: (20 - 2) / 28.28 = 0.64 on both axes
        ((20, 20, 30, 30), set()),
    ],
)
def test_directions(box, expected):
    assert relative_positions(box, (20, 20, 30, 30)) == expected


def test_a_tenth_of_both_sizes_is_taken_off_an_offset():
    # Sizes 10 and 10: tolerance 2. An offset of d along one axis leaves (d - 2) / d, which passes 0.5 from d = 4 on.
    target = (20, 20, 30, 30)
    assert relative_positions((16, 20, 26, 30), target) == set()  # d = 4: exactly 0.5 is not beyond it
    assert relative_positions((15.9, 20, 25.9, 30), target) == {"left of"}
    # A larger object needs a larger offset: sizes 30 and 10, tolerance 4, from d = 8 on.
    assert relative_positions((6, 10, 36, 40), target) == set()
    assert relative_positions((1.9, 10, 31.9, 40), target) == {"left of"}


def test_the_direction_counts_against_the_raw_offset():
    # Offset (-10, -8): reduced (-8, -6), over the raw length 12.81: -0.62 and -0.47.
    assert relative_positions((10, 12, 20, 22), (20, 20, 30, 30)) == {"left of"}


def test_position_holds_for_the_clause_it_points_to():
    metadata = prompt(CIRCLE, SQUARE | {"position": ["left of", 0]}, tag="position")
    left, right = (0, 0, 10, 10), (30, 0, 40, 10)
    assert judge(metadata, [seen("circle", box=right), seen("square", box=left)]).correct
    verdict = judge(metadata, [seen("circle", box=left), seen("square", box=right)])
    assert verdict.reason == "expected square left of target, found right of"
    verdict = judge(metadata, [seen("square", box=left)])
    assert verdict.reason == "expected circle>=1, found 0; no target for square to be left of"


def test_position_is_not_looked_at_where_the_color_is_wrong():
    metadata = prompt(CIRCLE, SQUARE | {"color": "blue", "position": ["left of", 0]}, tag="position")
    verdict = judge(metadata, [seen("circle", box=(0, 0, 10, 10)), seen("square", box=(30, 0, 40, 10))])
    assert verdict.reason == "expected blue square>=1, found red"


@pytest.mark.parametrize(
    "bad",
    [
        {"tag": "colour", "prompt": "a", "include": [CIRCLE]},
        {"tag": "colors", "prompt": "a", "include": []},
        {"tag": "colors", "prompt": "", "include": [CIRCLE]},
        {"tag": "position", "prompt": "a", "include": [CIRCLE | {"position": ["above", 0]}]},
        {"tag": "colors", "prompt": "a", "include": [{"class": "circle"}]},
        {"tag": "counting", "prompt": "a", "include": [CIRCLE | {"count": 0}]},
        {"tag": "position", "prompt": "a", "include": [CIRCLE, SQUARE | {"position": ["beside", 0]}]},
        {"tag": "position", "prompt": "a", "include": [CIRCLE, SQUARE | {"position": ["above", -1]}]},
        {"tag": "colors", "prompt": "a\ud83d", "include": [CIRCLE]},
        {"tag": "colors", "prompt": "a", "include": [CIRCLE | {"color": "\ud83d"}]},
        {"tag": "colors", "prompt": "a", "include": [CIRCLE | {"count": "1"}]},
        {"tag": "colors", "prompt": "a", "include": [CIRCLE | {"size": float("nan")}]},
        {"tag": "colors", "prompt": "a", "include": "circle"},
        ["colors"],
    ],
)
def test_metadata_in_another_layout_are_refused(bad):
    with pytest.raises(BadLine):
        checked_prompt(bad)


def test_prompts_for_one_thing_are_one_sample():
    position = [
        prompt(SQUARE, CIRCLE | {"position": ["right of", 0]}) | {"tag": "position", "prompt": "a"},
        prompt(CIRCLE, SQUARE | {"position": ["left of", 0]}) | {"tag": "position", "prompt": "b"},
        prompt(CIRCLE, SQUARE | {"position": ["right of", 0]}) | {"tag": "position", "prompt": "c"},
    ]
    first, mirrored, other = samples_of(position)
    assert first == mirrored != other
    # One thing in all: its texts are all there is to resample.
    assert len(set(samples_of(position[:2]))) == 2


def test_equal_requirements_are_recognised_in_any_wording():
    left = prompt(CIRCLE, SQUARE | {"position": ["left of", 0]})
    assert requirement(left) == requirement(prompt(SQUARE, CIRCLE | {"position": ["right of", 0]}))
    assert requirement(left) != requirement(prompt(CIRCLE, SQUARE | {"position": ["right of", 0]}))
    assert requirement(prompt(CIRCLE, SQUARE)) == requirement(prompt(SQUARE, CIRCLE))
    assert requirement(prompt(CIRCLE | {"color": "red"})) != requirement(prompt(CIRCLE))
    assert requirement(prompt(CIRCLE)) != requirement(prompt(CIRCLE, exclude=[{"class": "circle", "count": 2}]))


def test_controls_are_a_derangement_within_the_task():
    shapes = ("circle", "square", "triangle", "cross")
    prompts = [
        prompt({"class": shapes[i % 4], "count": 1}, tag=task, text=f"{task} {i}")
        for task in ("single_object", "counting")
        for i in range(10)
    ]
    partner = shuffled_prompts(prompts, seed=3)
    assert sorted(partner) == list(range(20))  # each prompt is some other's control once
    for index, other in enumerate(partner):
        assert prompts[index]["tag"] == prompts[other]["tag"]
        assert prompts[index]["include"] != prompts[other]["include"]
    assert partner == shuffled_prompts(prompts, seed=3)
    assert partner != shuffled_prompts(prompts, seed=4)


def test_no_control_where_every_other_prompt_asks_for_the_same():
    prompts = [prompt(CIRCLE, text="a"), prompt(CIRCLE, text="b"), prompt(SQUARE, tag="colors")]
    assert shuffled_prompts(prompts, seed=1) == [None, None, None]


def test_a_majority_gets_controls_as_far_as_they_go():
    partner = shuffled_prompts([prompt(CIRCLE)] * 3 + [prompt(SQUARE)], seed=1)
    assert sorted(partner[:3], key=lambda p: (p is None, p)) == [3, None, None]
    assert partner[3] in (0, 1, 2)


def by_metric(scores):
    return {score.metric: score.estimate for score in scores}


def test_overall_is_the_mean_of_task_scores_not_of_images():
    tasks = np.array(["single_object"] * 12 + ["counting"] * 4)
    values = np.array([1.0] * 12 + [0.0] * 4)
    scores = by_metric(geneval_scores(tasks, np.arange(16) // 2, values, np.full(16, np.nan), 200))
    assert scores["single_object"].value == 1.0
    assert scores["counting"].value == 0.0
    assert scores["overall"].value == 0.5
    assert "overall_minus_shuffled" not in scores
    # Two prompts, four wrong images: no less doubt than about four, and no more.
    assert (scores["counting"].low, scores["counting"].high) == pytest.approx(wilson(0, 4))


def test_difference_to_shuffled_is_paired():
    """Prompts differ much, and each is 0.25 better than its control: only a paired interval excludes 0."""
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.array(TASKS), 32)
    prompts = np.arange(192) // 4
    easy = np.repeat(rng.integers(0, 2, 48), 4).astype(float)
    shuffled = easy * (np.arange(192) % 4 > 0)
    scores = by_metric(geneval_scores(tasks, prompts, easy, shuffled, 2000))
    difference = scores["overall_minus_shuffled"]
    assert difference.value == pytest.approx(scores["overall"].value - scores["overall_shuffled"].value)
    assert difference.value == pytest.approx(0.25 * easy.mean())
    assert difference.low > 0
    assert scores["overall"].low < scores["overall_shuffled"].high  # unpaired intervals overlap


def test_images_without_a_control_stay_out_of_the_difference():
    tasks = np.array(["single_object"] * 4 + ["counting"] * 4)
    shuffled = np.array([0.0, 0.0, 1.0, 0.0] + [np.nan] * 4)
    scores = by_metric(geneval_scores(tasks, np.arange(8), np.ones(8), shuffled, 200))
    assert scores["overall_shuffled"].value == 0.25
    assert scores["overall_minus_shuffled"].n == 4

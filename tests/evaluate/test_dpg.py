"""DPG-Bench's scores against graphs worked out by hand, the authors' faults repeated, and whole jobs with a judge."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import SmallEvaluation, SmallExperiment
from unix_lib.artefacts.files import sha256_of
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.benchmarks.dpg import DPGPrompt, Proposition, read_dpg
from unix_lib.config.evaluate import JudgeSettings
from unix_lib.evaluate import dpg_judging
from unix_lib.evaluate.dpg import dpg_scores, faithful_scores, image_score, read_as, samples_of
from unix_lib.evaluate.fitness import heldout_scenes
from unix_lib.evaluate.generation import judge_of
from unix_lib.judges.detector import Detector
from unix_lib.judges.judge import JudgeError
from unix_lib.sources.shapes.kind import ShapesScenes
from unix_lib.sources.shapes.questions import yes_no_questions


def graph(*parents: Sequence[int], first_line: int = 2) -> list[Proposition]:
    """Questions 1, 2, ... of a prompt with these parents; odd ones are entities, even ones attributes."""
    return [
        Proposition(
            number, tuple(own), "entity - whole" if number % 2 else "attribute - color", "", first_line + number
        )
        for number, own in enumerate(parents, start=1)
    ]


def said(*answers: str) -> dict[int, str]:
    return dict(enumerate(answers, start=1))


def values(scores: Any) -> dict[str, float]:
    return {score.metric: score.estimate.value for score in scores}


@pytest.mark.parametrize(
    ("parents", "answers", "score"),
    [
        ([[], [1], [2]], ["yes", "yes", "yes"], 1.0),
        ([[], [1], [2]], ["no", "yes", "yes"], 0.0),  # however far down
        ([[2], [3], []], ["yes", "yes", "no"], 0.0),  # a child before its parent
        ([[], [], [1, 2]], ["yes", "no", "yes"], 1 / 3),  # any parent
        ([[2], [1]], ["yes", "no"], 0.0),  # a circle
        ([[], [1]], ["hm", "yes"], 1.0),  # what can't be read doesn't count
        ([[], [1]], ["no", "hm"], 0.0),  # but it fails with its parent
    ],
)
def test_an_image_is_scored_by_its_graph(parents: list[list[int]], answers: list[str], score: float) -> None:
    assert image_score(graph(*parents), said(*answers)) == pytest.approx(score)


def test_no_image_is_wrong_and_no_readable_answer_is_no_score() -> None:
    assert image_score(graph([], [1]), None) == 0.0
    assert math.isnan(image_score(graph([], [1]), said("hm", "perhaps")))


@pytest.mark.parametrize(
    ("answer", "read"),
    [("yes", True), ("Yes, there is.", True), (" NO.", False), ("Not sure", None), ("yesterday", None), ("", None)],
)
def test_an_answer_is_what_it_begins_with(answer: str, read: bool | None) -> None:
    assert read_as(answer) is read


ITEMS = [
    DPGPrompt("a", "A", graph([], [1], [])),
    DPGPrompt("b", "B", graph([2], [3], [], first_line=5)),
    DPGPrompt("c", "C", graph([], [], first_line=8)),
]
SAID = {
    ("a", 0): said("yes", "yes", "yes"),
    ("a", 1): said("yes", "yes", "no"),
    ("b", 0): said("yes", "yes", "no"),
    ("b", 1): said("yes", "Yes.", "yes"),
    ("c", 0): said("yes", "no"),  # whose second image is missing
}


def test_default_scores_count_every_question_and_missing_images_as_wrong() -> None:
    scores = values(dpg_scores(ITEMS, SAID, 2, 100))
    of_prompts = [(1 + 2 / 3) / 2, (0 + 1) / 2, (1 / 2 + 0) / 2]
    assert scores["overall"] == pytest.approx(np.mean(of_prompts))
    entities = [1, 1, 1, 0, 1, 0, 1, 1, 1, 0]  # a twice, b twice, c and its missing image
    assert scores["entity"] == pytest.approx(np.mean(entities))
    assert scores["unreadable"] == 0.0
    for score in dpg_scores(ITEMS, SAID, 2, 100):
        assert math.isnan(score.estimate.value) or score.estimate.low <= score.estimate.value <= score.estimate.high


def test_faithful_scores_repeat_the_authors_faults() -> None:
    scores = values(faithful_scores(ITEMS, SAID, 2, 100))
    # The first row of all is skipped, so that a's second question has no parent and a falls out; c lacks an image.
    # b: only an exact "yes" counts, and question 1, before its parent, is not set to 0 by what 2 becomes.
    assert scores["faithful_overall"] == pytest.approx(np.mean([1 / 3, (0 + 0 + 1) / 3]))
    assert scores["faithful_entity"] == 1.0  # of the last image
    assert scores["faithful_attribute"] == 0.0


def test_images_are_samples_that_add_up_to_the_score_and_what_cannot_be_read_is_set_aside() -> None:
    rows, rejected = samples_of(ITEMS, SAID, 2)
    assert rejected == []
    assert np.mean([row["value"] for row in rows]) == pytest.approx(values(dpg_scores(ITEMS, SAID, 2, 100))["overall"])
    assert [row["reason"] for row in rows if row["sample_id"] == "c-1"] == ["no image"]
    rows, rejected = samples_of(ITEMS, SAID | {("a", 0): {1: "yes", 3: "no"}, ("c", 0): said("?", "!")}, 2)
    assert [row["sample_id"] for row in rows] == ["a-0", "a-1", "b-0", "b-1", "c-1"]
    assert [row.sample_id for row in rejected] == ["a-0-2", "c-0-1", "c-0-2", "c-0"]
    assert {row.reason for row in rejected} == {"unreadable answer of the judge"}


class Counting:
    """A judge that says yes, and stops working after a while."""

    def __init__(self, answers: int) -> None:
        self.left, self.asked = answers, 0

    def answer(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        assert [image.shape for image in images] == [(32, 32, 3)] * len(questions)
        if len(questions) > self.left:
            raise JudgeError("the judge is down")
        self.left -= len(questions)
        self.asked += len(questions)
        return ["yes"] * len(questions)


def test_a_judge_that_goes_down_is_asked_on_from_the_first_missing_answer(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluation() -> SmallEvaluation:
        return small.evaluation("dpg", group="down")

    monkeypatch.setattr(JudgeSettings, "at_once", 5)
    evaluation().group.make()
    first, second = Counting(7), Counting(1000)
    monkeypatch.setattr(dpg_judging, "open_judge", lambda *_: first)
    with pytest.raises(JudgeError, match="the judge is down"):
        evaluation().judgings["dpg"].make()
    monkeypatch.setattr(dpg_judging, "open_judge", lambda *_: second)
    job = evaluation().make()
    questions = 2 * sum(len(item.propositions) for item in prompts_of(small))
    assert (first.asked, first.asked + second.asked) == (5, questions)
    scores = {row["metric"]: row for row in pq.read_table(job.folder / "scores.parquet").to_pylist()}
    assert scores["overall"]["value"] == 1.0
    assert scores["overall"]["protocol"] == "dpg, 2 images a prompt"
    assert scores["overall"]["n"] == 2
    small.forget("evaluate")


def prompts_of(small: SmallExperiment) -> list[DPGPrompt]:
    return read_dpg(small.results / small.shapes / "benchmarks" / "dpg.csv")[0]


def test_another_chance_or_number_of_resamples_asks_no_judge_again(small: SmallExperiment) -> None:
    evaluation = small.evaluation("dpg")
    assert small.evaluation("dpg", chance=0.5).judgings["dpg"].recipe == evaluation.judgings["dpg"].recipe
    assert small.evaluation("dpg", limit=1).judgings["dpg"].recipe != evaluation.judgings["dpg"].recipe


def test_a_model_is_named_with_its_judge(small: SmallExperiment) -> None:
    judges = {"mine": {"kind": "endpoint", "url": "http://localhost:1/v1/chat/completions", "model": "some-vlm-7b"}}
    evaluation = small.evaluation("dpg", group="named", judges=judges, judge="mine")
    assert judge_of(evaluation.scores.settings.benchmarks["dpg"]) == "endpoint 1 some-vlm-7b"


def test_the_prompts_file_is_known_by_its_sha256(small: SmallExperiment, tmp_path: Any) -> None:
    path = tmp_path / "dpg.csv"
    path.write_bytes((small.results / small.shapes / "benchmarks" / "dpg.csv").read_bytes())
    job = small.evaluation("dpg", group="file", file=str(path), source=None, limit=1).make()
    assert read_manifest(job.folder).facts["benchmarks"]["dpg"]["file_sha256"] == sha256_of(path)


def test_the_scene_detector_answers_the_questions_of_its_scenes(small: SmallExperiment) -> None:
    scenes, images = heldout_scenes(small.results / small.shapes, 32)
    questions = yes_no_questions(ShapesScenes())[::7]
    detector = Detector.for_scenes(32)
    for question in questions:
        wanted = [question.answer(scene) or "no" for scene in scenes[:8]]
        assert detector.answer(images[:8], [question.text] * 8) == wanted, question.text
    assert detector.answer(images[:1], ["Is it raining?"]) == ["I can't tell"]

"""The sums of the paper's script, VLMEvalKit and lmms-eval against loops over rows, written as their rules say."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from unix_lib.benchmarks.question_files import Question
from unix_lib.evaluate.protocols import RULES
from unix_lib.evaluate.question_scores import MME_COGNITION
from unix_lib.evaluate.scorers.question_settings import Protocol
from unix_lib.evaluate.tool_scores import asked_of, without_pair

Answered = list[tuple[Question, str | None]]


def question(index: int, answer: str, **of: object) -> Question:
    shared = {"text": "?", "image": "", "image_id": f"image-{index}", "picture": f"image-{index}"}
    return Question(**({"index": str(index), "answer": answer} | shared | of))  # type: ignore[arg-type]


def values(protocol: Protocol, layout: str, answered: Answered) -> dict[str, float]:
    """Scores by metric, and that each stands once and inside its interval."""
    columns = asked_of([each for each, _ in answered], [reading for _, reading in answered])
    scores = RULES[protocol][layout].scores(columns, 0.5, 200)  # type: ignore[index]
    assert len({score.metric for score in scores}) == len(scores)
    for score in scores:
        estimate = score.estimate
        assert not estimate.n or estimate.low <= estimate.value <= estimate.high or np.isnan(estimate.low)
    return {score.metric: score.estimate.value for score in scores}


def of_yes(rows: Answered, *, unread_is_no: bool) -> dict[str, float]:
    """Precision, recall and F1 by counting; 0 where nothing is divided by nothing."""
    hit = sum(each.answer == "yes" and reading == "yes" for each, reading in rows)
    wrong = sum(each.answer == "no" and reading == "yes" for each, reading in rows)
    missed = sum(
        each.answer == "yes" and (reading == "no" or (unread_is_no and reading is None)) for each, reading in rows
    )
    precision = hit / (hit + wrong) if hit + wrong else 0.0
    recall = hit / (hit + missed) if hit + missed else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    right = sum(each.answer == reading for each, reading in rows)
    return {"accuracy": right / len(rows), "precision": precision, "recall": recall, "f1": f1}


@pytest.fixture
def pope() -> Answered:
    rng = np.random.default_rng(1)
    splits = ("random", "popular", "adversarial", "random,popular", "random,popular,adversarial", "")
    return [
        (
            question(
                number, str(rng.choice(["yes", "no"])), category=str(rng.choice(splits)), image_id=f"{number // 6}"
            ),
            (None, "yes", "no")[rng.integers(3)],
        )
        for number in range(90)
    ]


def test_pope_of_the_paper_leaves_out_what_it_cannot_read(pope: Answered) -> None:
    found = values("paper", "pope", pope)
    read = [(each, reading) for each, reading in pope if reading is not None]
    assert 0 < len(read) < len(pope)
    for metric, value in of_yes(read, unread_is_no=True).items():
        assert found[metric] == pytest.approx(value)
    assert found["unreadable_answers"] == pytest.approx(1 - len(read) / len(pope))


@pytest.mark.parametrize("protocol", ["vlmevalkit", "lmms-eval"])
def test_a_question_of_several_splits_counts_in_each(pope: Answered, protocol: Protocol) -> None:
    found = values(protocol, "pope", pope)
    unread_is_no = protocol == "vlmevalkit"
    exploded = [(replace(each, category=name), reading) for each, reading in pope for name in each.category.split(",")]
    assert len(exploded) > len(pope)
    parts = {"": exploded} | {
        f"_{name}": [row for row in exploded if row[0].category == name]
        for name in ("random", "popular", "adversarial")
    }
    for suffix, rows in parts.items():
        for metric, value in of_yes(rows, unread_is_no=unread_is_no).items():
            assert found[f"{metric}{suffix}"] == pytest.approx(value), (metric, suffix)
    if protocol == "lmms-eval":
        asked_yes = [each.answer == "yes" for each, _ in exploded]
        assert found["yes_ratio"] == pytest.approx(sum(asked_yes) / len(asked_yes))


@pytest.mark.parametrize("protocol", ["paper", "vlmevalkit", "lmms-eval"])
def test_without_a_yes_the_tools_say_0(protocol: Protocol) -> None:
    found = values(protocol, "pope", [(question(number, "no"), "no") for number in range(4)])
    assert (found["precision"], found["recall"], found["f1"], found["accuracy"]) == (0, 0, 0, 1)


def test_nothing_that_can_be_read_is_no_score_of_the_paper() -> None:
    found = values("paper", "pope", [(question(number, "no"), None) for number in range(4)])
    assert np.isnan(found["accuracy"]) and found["unreadable_answers"] == 1


def mme_rows() -> Iterator[tuple[Question, str | None]]:
    rng = np.random.default_rng(2)
    for number in range(240):
        category = ("existence", "OCR", "code_reasoning", "text_translation")[number // 60]
        # The same image may stand under two names, and be asked about twice under each.
        picture = f"{category}/{number // 2}"
        yield (
            question(number, ("yes", "no")[number % 2], category=category, picture=picture, image_id=f"{number // 4}"),
            (None, "yes", "no", "yes", "no")[rng.integers(5)],
        )


@pytest.mark.parametrize("protocol", ["paper", "vlmevalkit", "lmms-eval"])
def test_mme_adds_up_pairs(protocol: Protocol) -> None:
    rows = list(mme_rows())
    assert not any(without_pair([each for each, _ in rows]))
    found = values(protocol, "mme", rows)
    sums = {"perception": 0.0, "cognition": 0.0}
    for category in dict.fromkeys(each.category for each, _ in rows):
        right = [each.answer == reading for each, reading in rows if each.category == category]
        accuracy = sum(right) / len(right)
        plus = sum(first and second for first, second in zip(right[::2], right[1::2], strict=True)) / (len(right) / 2)
        assert found[f"accuracy_{category}"] == pytest.approx(accuracy)
        assert found[f"accuracy_plus_{category}"] == pytest.approx(plus)
        sums["cognition" if category in MME_COGNITION else "perception"] += 100 * (accuracy + plus)
    assert {name: found[name] for name in sums} == pytest.approx(sums)
    counted = [(each, reading) for each, reading in rows if protocol != "paper" or reading is not None]
    assert found["accuracy"] == pytest.approx(sum(each.answer == reading for each, reading in counted) / len(counted))


def test_a_question_without_its_pair_is_known() -> None:
    rows = [each for each, _ in mme_rows()]
    alone = without_pair([*rows[1:], question(999, "yes", category="OCR", picture=rows[-1].picture)])
    assert [number for number, single in enumerate(alone) if single] == [0, 239]
    thrice = without_pair([*rows, question(999, "yes", category=rows[-1].category, picture=rows[-1].picture)])
    assert [number for number, single in enumerate(thrice) if single] == [238, 239, 240]


def mmbench_rows() -> Answered:
    """Questions of two to four options, with as many rotations; the category of the first one counts."""
    rng = np.random.default_rng(3)
    rows: Answered = []
    for number in range(40):
        letters = "ABCD"[: 2 + number % 3]
        for turn in range(len(letters)):
            answer = letters[(number + turn) % len(letters)]
            of = {
                "category": f"kind {number % 5}",
                "wider_category": f"wide {number % 2}",
                "split": ("dev", "test")[number % 7 == 0],
                "options": dict.fromkeys(letters, "x"),
                "image_id": f"image-{number}",
            }
            rows.append(
                (
                    question(turn * 1_000_000 + number, answer, **of),
                    answer if rng.random() < 0.8 else (None, "A")[turn % 2],
                )
            )
    return rows


@pytest.mark.parametrize("protocol", ["vlmevalkit", "lmms-eval"])
def test_mmbench_counts_rows_and_questions_of_which_every_rotation_is_right(protocol: Protocol) -> None:
    rows = mmbench_rows()
    found = values(protocol, "mmbench", rows)
    groups: dict[int, Answered] = {}
    for each, reading in rows:
        groups.setdefault(int(each.index) % 1_000_000, []).append((each, reading))
    right = {number: all(each.answer == reading for each, reading in of) for number, of in groups.items()}
    assert 0 < sum(right.values()) < len(right) < len(rows)
    assert found["accuracy"] == pytest.approx(sum(each.answer == reading for each, reading in rows) / len(rows))
    assert found["accuracy_circular"] == pytest.approx(sum(right.values()) / len(right))
    for column, prefix in (("category", ""), ("wider_category", "l2_"), ("split", "split_")):
        for name in {getattr(each, column) for each, _ in rows}:
            of_name = [ok for number, ok in right.items() if getattr(groups[number][0][0], column) == name]
            assert found[f"accuracy_circular_{prefix}{name}"] == pytest.approx(sum(of_name) / len(of_name))
    assert "incomplete_questions" not in found
    assert found == values(protocol, "mmbench", rows[::-1])


def test_a_question_that_lost_a_rotation_is_left_out_and_counted() -> None:
    rows = mmbench_rows()
    lost = rows[:1] + rows[2:]
    found, whole = values("vlmevalkit", "mmbench", lost), values("vlmevalkit", "mmbench", rows[2:])
    assert found["incomplete_questions"] == pytest.approx(1 / 40)
    assert found["accuracy_circular"] == pytest.approx(whole["accuracy_circular"])
    assert found["accuracy"] != whole["accuracy"]


def test_a_file_without_rotations_has_no_circular_score() -> None:
    rows = [(each, reading) for each, reading in mmbench_rows() if int(each.index) < 1_000_000]
    assert not {"accuracy_circular", "incomplete_questions"} & set(values("vlmevalkit", "mmbench", rows))
    assert "accuracy_circular" not in values("paper", "mmbench", mmbench_rows())  # which switches it off


def test_seed_is_a_mean_over_categories_for_the_paper_and_over_questions_for_the_tools() -> None:
    rows: Answered = [
        (question(number, "A", category="few" if number < 3 else "many"), "A" if number % 3 else None)
        for number in range(30)
    ]
    few, many = 2 / 3, 18 / 27
    rows[-1] = (rows[-1][0], "B")
    many -= 1 / 27
    assert values("paper", "seed", rows)["accuracy"] == pytest.approx((few + many) / 2)
    for protocol in ("vlmevalkit", "lmms-eval"):
        found = values(protocol, "seed", rows)  # type: ignore[arg-type]
        assert found["accuracy"] == pytest.approx((2 + 17) / 30)
        assert (found["accuracy_few"], found["accuracy_many"]) == pytest.approx((few, many))

"""Scores DPG-Bench from what a judge answered about a checkpoint's images: the default score, and the authors' own.

A child's question makes no sense where a parent's is answered by no, so it fails too, however far down the graph. An
image's score is the mean over its questions, a prompt's over its images, the benchmark's over prompts; categories are
means over the answers as they came. `faithful` scores repeat what the authors' code does (TencentQQGYLab/ELLA,
dpg_bench/compute_dpg_bench.py), its faults included, so that they compare with published figures.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from unix_lib.benchmarks.dpg import DPGPrompt, Proposition, read_dpg
from unix_lib.benchmarks.rows import RejectedRow
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.generation import judge_of
from unix_lib.evaluate.intervals import Estimate, bootstrap, clustered_share, mean_of_strata, share
from unix_lib.evaluate.scorers.dpg import DPGScoring
from unix_lib.evaluate.stored_images import images_a_prompt
from unix_lib.evaluate.tables import JUDGED_FILE, Score
from unix_lib.records.schema import Row

Said = Mapping[tuple[str, int], Mapping[int, str]]  # by item and image, by proposition
UNREADABLE, NO_IMAGE = "unreadable answer of the judge", "no image"


def score_dpg(answers: Answers[DPGScoring]) -> BenchmarkResult:
    """Score what a judge answered.

    Raises:
        BenchmarkError: no such file, or not one usable prompt.
    """
    settings = answers.settings
    prompts, rejected = read_dpg(answers.file("dpg.csv"), settings.limit, settings.prompts)
    assert answers.judging is not None  # the kind has one
    said = read_answers(answers.judging)
    images = images_a_prompt(answers.folder)
    rows, unread = samples_of(prompts, said, images)
    protocol = f"dpg, {images} images a prompt{settings.reworded}"
    scores = dpg_scores(prompts, said, images, answers.bootstrap_samples)
    return BenchmarkResult(scores, rows, protocol, judge_of(settings), rejected=rejected + unread)


def read_answers(folder: Path) -> dict[tuple[str, int], dict[int, str]]:
    """A judge's words by item and image, and by the number of the question; none where it gave none."""
    answers: dict[tuple[str, int], dict[int, str]] = {}
    for row in pq.read_table(folder / JUDGED_FILE).to_pylist():
        own = answers.setdefault((row["item_id"], row["sample_index"]), {})
        if row["answer"] is not None:
            own[row["proposition"]] = row["answer"]
    return answers


def read_as(answer: str) -> bool | None:
    """Whether an answer is yes; None where it begins with neither yes nor no."""
    first = re.match(r"\W*(yes|no)\b", answer, re.IGNORECASE)
    return None if first is None else first.group(1).lower() == "yes"


def image_score(propositions: Sequence[Proposition], said: Mapping[int, str] | None) -> float:
    """The share of an image's questions that hold, 0 without an image; an unreadable answer doesn't count.

    NaN where not one counts.
    """
    if said is None:
        return 0.0
    read = {each.number: read_as(said.get(each.number, "")) for each in propositions}
    failed = {number for number, value in read.items() if value is False}
    while more := {each.number for each in propositions if failed & {*each.parents}} - failed:
        failed |= more
    counted = [number for number, value in read.items() if value is not None or number in failed]
    return 1 - len(failed) / len(counted) if counted else math.nan


def dpg_scores(prompts: Sequence[DPGPrompt], said: Said, images: int, bootstrap_samples: int) -> list[Score]:
    """All scores, 0..1, with intervals over prompts; `images` a prompt."""
    values = np.array(
        [
            np.mean(known) if (known := [one for one in scores if not math.isnan(one)]) else math.nan
            for item in prompts
            for scores in [[image_score(item.propositions, said.get((item.item_id, cell))) for cell in range(images)]]
        ]
    )
    scores = [Score("overall", _mean(values, bootstrap_samples))]
    answers: dict[str, list[tuple[int, float]]] = defaultdict(list)
    unread: list[bool] = []
    for index, item in enumerate(prompts):
        for cell in range(images):
            own = said.get((item.item_id, cell))
            for each in item.propositions:
                value = False if own is None else read_as(own.get(each.number, ""))
                unread += [value is None] * (own is not None)
                answers[each.broad_category] += [] if value is None else [(index, float(value))]
    scores += _by_category("", answers, bootstrap_samples)
    scores.append(Score("unreadable", share(np.array(unread, dtype=bool))))
    return scores + faithful_scores(prompts, said, images, bootstrap_samples)


def faithful_scores(prompts: Sequence[DPGPrompt], said: Said, images: int, bootstrap_samples: int) -> list[Score]:
    """What the authors' code gives to the same answers."""
    rows = sorted((each.line, item.item_id, each) for item in prompts for each in item.propositions)
    graphs: dict[str, list[Proposition]] = {}
    previous = ""
    for _, item_id, each in rows[1:]:  # PAPER: the first row is taken for a heading
        if item_id != previous:
            graphs[item_id] = []
        graphs[item_id].append(each)
        previous = item_id
    values: list[float] = []
    answers: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for index, item in enumerate(prompts):
        try:
            graph = graphs[item.item_id]
            cells = [_faithful_cell(graph, said[item.item_id, cell]) for cell in range(images)]
        except KeyError:  # PAPER: whatever fails leaves its prompt out of all means
            continue
        values.append(float(np.mean([score for score, _ in cells])))
        for each in graph:  # PAPER: of the last cell only
            answers[each.broad_category].append((index, cells[-1][1][each.number]))
    overall = Score("faithful_overall", _mean(np.array(values), bootstrap_samples))
    return [overall, *_by_category("faithful_", answers, bootstrap_samples)]


def _faithful_cell(graph: Sequence[Proposition], said: Mapping[int, str]) -> tuple[float, dict[int, float]]:
    """An image's score, and its answers as they came; a KeyError where a parent is missing."""
    raw = {each.number: float(said[each.number] == "yes") for each in graph}
    values = dict(raw)
    for each in graph:  # PAPER: once, in the file's order: not transitive where a child comes before its parent
        if any(values[parent] == 0 for parent in each.parents):
            values[each.number] = 0.0
    return sum(values.values()) / len(values), raw


def _mean(values: np.ndarray, bootstrap_samples: int) -> Estimate:
    values = values[~np.isnan(values)]
    prompts = np.arange(len(values))
    statistic = mean_of_strata(values, np.zeros(len(values))) if len(values) else np.sum
    return bootstrap(statistic, prompts, samples=bootstrap_samples, bounds=(0.0, 1.0))


def _by_category(
    prefix: str, answers: Mapping[str, Sequence[tuple[int, float]]], bootstrap_samples: int
) -> list[Score]:
    """Scores of (prompt, value) pairs by category."""
    scores = []
    for category, pairs in sorted(answers.items()):
        prompts, values = np.array(pairs).reshape(-1, 2).T
        scores.append(Score(f"{prefix}{category}", clustered_share(values, prompts, samples=bootstrap_samples)))
    return scores


def samples_of(prompts: Sequence[DPGPrompt], said: Said, images: int) -> tuple[list[Row], list[RejectedRow]]:
    """Rows of `SAMPLES`, an image each, and what is set aside: answers that can't be read, images without another."""
    rows: list[Row] = []
    rejected: list[RejectedRow] = []
    for item in prompts:
        for cell in range(images):
            own, sample_id = said.get((item.item_id, cell)), f"{item.item_id}-{cell}"
            answers = {} if own is None else {each: own.get(each.number, "") for each in item.propositions}
            unread = [each for each, answer in answers.items() if read_as(answer) is None]
            rejected += [RejectedRow(f"{sample_id}-{each.number}", item.item_id, UNREADABLE, "") for each in unread]
            if math.isnan(value := image_score(item.propositions, own)):
                rejected.append(RejectedRow(sample_id, item.item_id, UNREADABLE, "to all questions"))
                continue
            failed = [each.question for each, answer in answers.items() if read_as(answer) is False]
            rows.append(
                {
                    "sample_id": sample_id,
                    "task": "",
                    "prompt": item.prompt,
                    "prediction": "; ".join(answers.values()),
                    "answer": "",  # it is in the questions
                    "value": value,
                    "reason": NO_IMAGE if own is None else f"no: {' '.join(failed)}" if failed else "",
                }
            )
    return rows, rejected

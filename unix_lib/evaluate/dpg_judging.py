"""Asks a judge DPG-Bench's questions about a checkpoint's images; a killed job asks no question twice."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from unix_lib.artefacts.files import digest_of
from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.dpg import DPGPrompt, read_dpg
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.files import benchmark_file
from unix_lib.benchmarks.tables import IMAGES_FILE
from unix_lib.config.evaluate import JudgedBatches
from unix_lib.evaluate.scorers.dpg import DPGJudging
from unix_lib.evaluate.stored_images import decoded, stored_images
from unix_lib.evaluate.tables import JUDGED, JUDGED_FILE, write_table
from unix_lib.jobs.job import Job
from unix_lib.judges.inquiry import Asked, Inquiry
from unix_lib.judges.judge import JudgeError, NoVerdict, QuestionAnswerer, as_configured, open_judge
from unix_lib.records.schema import Row


def make_judging(job: Job[DPGJudging, JudgedBatches]) -> Manifest:
    """Make `evaluate/<run>-step-00100-<benchmark>-judging`: every question about every image, answered.

    Raises:
        BenchmarkError: images of other prompts. JudgeError: a judge that can't be asked, or that gives no answer to
            more than one question in a hundred; what it answered is kept.
    """
    settings, answers = job.settings, job.input("answers")
    source = job.input("benchmark") if "benchmark" in job.recipe.inputs else None
    path = benchmark_file(job.recipe.name, "dpg.csv", source, settings.file)
    prompts, _ = read_dpg(path, settings.limit, settings.prompts)  # scoring counts what is set aside
    drawn = pq.read_table(answers / IMAGES_FILE, columns=["prompt_index", "prompt"]).to_pylist()
    total = sum(len(prompt_of(row, prompts).propositions) for row in drawn)
    inquiry: Inquiry | None = None
    rows: list[Row] = []
    for some, images in stored_images(answers):
        if inquiry is None:
            size = decoded(images[0]).shape[1]
            judge = open_judge(settings.judge, settings.judge_version, size, job.execution.judges)
            at_once = as_configured(settings.judge, job.execution.judges).at_once
            inquiry = Inquiry(job.recipe.name, job.work, total, partial(_ask, judge), at_once)
        asked = [each for row, image in zip(some, images, strict=True) for each in questions_about(row, image, prompts)]
        said = inquiry.answers([question for question, _ in asked])
        for (_, row), answer in zip(asked, said, strict=True):
            rows.append(row | {"answer": None if isinstance(answer, NoVerdict) else answer})
    manifest = job.finish({JUDGED_FILE: write_table(rows, JUDGED, job.folder / JUDGED_FILE)})
    job.clear_work()
    return manifest


def prompt_of(row: Row, prompts: Sequence[DPGPrompt]) -> DPGPrompt:
    """The prompt that an image was drawn for.

    Raises:
        BenchmarkError: it was another one.
    """
    index = row["prompt_index"]
    if index >= len(prompts) or row["prompt"] != prompts[index].prompt:
        raise BenchmarkError(f"an image of another prompt than the benchmark has at place {index}; run again")
    return prompts[index]


def questions_about(row: Row, image: bytes, prompts: Sequence[DPGPrompt]) -> list[tuple[Asked, Row]]:
    """What is asked about an image, each with its row of `JUDGED` but for the answer."""
    item, sha256 = prompt_of(row, prompts), hashlib.sha256(image).hexdigest()
    own = {"item_id": item.item_id, "sample_index": row["sample_index"]}
    return [
        (
            Asked(digest_of([sha256, each.question]), partial(decoded, image), each.question),
            own | {"proposition": each.number},
        )
        for each in item.propositions
    ]


def _ask(judge: QuestionAnswerer, asked: Sequence[Asked]) -> Sequence[Any]:
    answers = judge.answer([one.image() for one in asked], [one.about for one in asked])
    if len(answers) != len(asked):
        raise JudgeError(f"a judge gave {len(answers)} answers to {len(asked)} questions; correct the judge")
    return answers

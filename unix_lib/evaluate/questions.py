"""Scores a checkpoint's answers to questions about images: each is read, and held against the right one.

A damaged image sets its questions aside with a reason; a wordless or unreadable answer is wrong.
"""

import numpy as np
import pyarrow.parquet as pq

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.question_files import YES_NO_LAYOUTS, Question, QuestionFileError, read_questions
from unix_lib.benchmarks.rows import RejectedRow
from unix_lib.benchmarks.tables import ANSWERS_FILE
from unix_lib.evaluate.answers import parse_option, parse_yes_no, why_wrong
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.question_scores import SCORES_OF_LAYOUT, Answered
from unix_lib.evaluate.scorers.question_settings import QuestionScoring
from unix_lib.records.schema import Row


def score_questions(answers: Answers[QuestionScoring]) -> BenchmarkResult:
    """Read and score the answers to a benchmark in TSV layout.

    Raises:
        QuestionFileError: no usable question. BenchmarkError: the answers are to other questions.
    """
    settings = answers.settings
    path = answers.file(f"{settings.layout}.tsv")
    questions, rejected = read_questions(path, settings.layout, settings.limit)
    rows = pq.read_table(answers.folder / ANSWERS_FILE).to_pylist()
    if [row["sample_id"] for row in rows] != [question.index for question in questions]:
        raise BenchmarkError(f"{answers.folder}: not the answers to {path}; delete them and run again")
    samples: list[Row] = []
    asked: list[Question] = []
    parsed: list[str | None] = []
    yes_no = settings.layout in YES_NO_LAYOUTS
    for question, row in zip(questions, rows, strict=True):
        if row["rejected"] is not None:
            rejected.append(RejectedRow(question.index, path.name, row["rejected"], row["detail"]))
            continue
        text = row["text"]
        reading = parse_yes_no(text) if yes_no else parse_option(text, question.options)
        asked.append(question)
        parsed.append(reading)
        samples.append(_sample(question, row, reading))
    if not asked:
        raise QuestionFileError(f"{path}: not one image can be read; the first is {rows[0]['detail']}")
    answered = Answered(
        categories=np.array([question.category for question in asked]),
        images=np.array([question.image_id for question in asked]),
        expected=np.array([question.answer for question in asked], dtype=object),
        parsed=np.array(parsed, dtype=object),
    )
    scores = SCORES_OF_LAYOUT[settings.layout](answered, settings.chance, answers.bootstrap_samples)
    return BenchmarkResult(scores, samples, f"{settings.layout}, greedy answers read by rules", rejected=rejected)


def _sample(question: Question, row: Row, reading: str | None) -> Row:
    return {
        "sample_id": question.index,
        "task": question.category,
        "prompt": row["prompt"],
        "prediction": row["text"],
        "answer": question.answer,
        "value": float(reading == question.answer),
        "reason": why_wrong(reading, question.answer),
    }

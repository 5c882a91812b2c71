"""Scores a checkpoint's answers to questions about images: each is read, and held against the right one.

Several protocols may read the same answers. A damaged image sets its questions aside with a reason; a wordless or
unreadable answer is wrong, unless a protocol leaves it out.
"""

from collections.abc import Sequence

import pyarrow.parquet as pq

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.question_files import Question, QuestionFileError, read_questions
from unix_lib.benchmarks.rows import RejectedRow
from unix_lib.benchmarks.tables import ANSWERS_FILE
from unix_lib.evaluate.answer_judge import judged
from unix_lib.evaluate.answers import why_wrong
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult, Scored
from unix_lib.evaluate.generation import judge_called
from unix_lib.evaluate.protocols import RULES, Rules
from unix_lib.evaluate.readers import NONE_OF_THEM
from unix_lib.evaluate.scorers.question_settings import Protocol, QuestionScoring
from unix_lib.evaluate.tool_scores import asked_of, without_pair
from unix_lib.records.schema import Row

NO_PAIR = "no pair of questions"


def score_questions(answers: Answers[QuestionScoring]) -> BenchmarkResult:
    """Read and score the answers to a benchmark in TSV layout.

    Raises:
        QuestionFileError: no usable question. BenchmarkError: the answers are to other questions.
        JudgeError: a judge that fails.
    """
    settings = answers.settings
    path = answers.file(f"{settings.layout}.tsv")
    questions, rejected = read_questions(path, settings.layout, settings.limit)
    rows = pq.read_table(answers.folder / ANSWERS_FILE).to_pylist()
    if [row["sample_id"] for row in rows] != [question.index for question in questions]:
        raise BenchmarkError(f"{answers.folder}: not the answers to {path}; delete them and run again")
    usable = [row["rejected"] is None for row in rows]
    rejected += [
        RejectedRow(row["sample_id"], path.name, row["rejected"], row["detail"])
        for row, use in zip(rows, usable, strict=True)
        if not use
    ]
    if not any(usable):
        raise QuestionFileError(f"{path}: not one image can be read; the first is {rows[0]['detail']}")
    asked = [(question, row) for question, row, use in zip(questions, rows, usable, strict=True) if use]
    if settings.layout == "mme" and settings.protocols != ["strict"]:
        alone = without_pair([question for question, _ in asked])
        rejected += [
            RejectedRow(question.index, path.name, NO_PAIR, f"'{question.category}' asks not twice about its image")
            for (question, _), single in zip(asked, alone, strict=True)
            if single
        ]
        asked = [each for each, single in zip(asked, alone, strict=True) if not single]
        if not asked:
            raise QuestionFileError(f"{path}: no image that MME's two questions are asked about")
    return _by_protocols(answers, asked, rejected)


def _by_protocols(
    answers: Answers[QuestionScoring], asked: Sequence[tuple[Question, Row]], rejected: list[RejectedRow]
) -> BenchmarkResult:
    settings = answers.settings
    readings = {protocol: _read(answers, RULES[protocol][settings.layout], asked) for protocol in settings.protocols}
    scored = [
        Scored(
            RULES[protocol][settings.layout].scores(
                asked_of([question for question, _ in asked], [_counted(reading) for reading, _ in of_protocol]),
                settings.chance,
                answers.bootstrap_samples,
            ),
            _called(protocol, settings.layout),
            _judge_of(settings, RULES[protocol][settings.layout]),
        )
        for protocol, of_protocol in readings.items()
    ]
    first = readings[settings.protocols[0]]
    return BenchmarkResult(
        scored[0].scores,
        [_sample(question, row, _counted(reading)) for (question, row), (reading, _) in zip(asked, first, strict=True)],
        scored[0].protocol,
        scored[0].judge,
        rejected=rejected,
        others=scored[1:],
        readings=[] if settings.protocols == ["strict"] and settings.judge is None else list(_table(asked, readings)),
    )


def _read(
    answers: Answers[QuestionScoring], rules: Rules, asked: Sequence[tuple[Question, Row]]
) -> list[tuple[str | None, bool]]:
    """What each answer is read as, and whether a judge read it."""
    readings = [rules.read(row["text"], question.options) for question, row in asked]
    if answers.settings.judge is None or not rules.judged:
        return [(reading, False) for reading in readings]
    unread = [
        (question, row["text"]) for (question, row), reading in zip(asked, readings, strict=True) if reading is None
    ]
    said = judged(answers, unread)
    return [
        (reading, False) if reading is not None else (rules.read(said[question.index], question.options), True)
        for (question, _), reading in zip(asked, readings, strict=True)
    ]


def _counted(reading: str | None) -> str | None:
    return None if reading == NONE_OF_THEM else reading


def _called(protocol: Protocol, layout: str) -> str:
    return (
        f"{layout}, greedy answers read by rules" if protocol == "strict" else f"{layout}, greedy answers, {protocol}"
    )


def _judge_of(settings: QuestionScoring, rules: Rules) -> str:
    if settings.judge is None or settings.judge_version is None or not rules.judged:
        return ""
    return judge_called(settings.judge, settings.judge_version)


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


def _table(asked: Sequence[tuple[Question, Row]], readings: dict[Protocol, list[tuple[str | None, bool]]]) -> list[Row]:
    """Rows of `READINGS`, but for the benchmark's name."""
    return [
        {
            "protocol": protocol,
            "sample_id": question.index,
            "prediction": row["text"],
            "reading": reading,
            "by_judge": by_judge,
            "value": float(reading == question.answer),
        }
        for protocol, of_protocol in readings.items()
        for (question, row), (reading, by_judge) in zip(asked, of_protocol, strict=True)
    ]

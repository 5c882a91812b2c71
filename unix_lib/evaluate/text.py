"""Scores text benchmarks by lm-eval's own rules, from the log-likelihoods that a checkpoint gave.

lm-eval runs as it would on a model, but is answered from the store; our own part is the samples' table and intervals.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.lm_eval_run import run_zero_shot, work_offline
from unix_lib.benchmarks.lm_eval_tasks import METRICS, data_sets_of, load_cloze, load_registered
from unix_lib.benchmarks.rows import RejectedRow
from unix_lib.benchmarks.tables import LIKELIHOODS_FILE
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.intervals import share
from unix_lib.evaluate.scorers.lm_eval import LmEvalScoring
from unix_lib.evaluate.tables import SAMPLES, Score, above_chance
from unix_lib.records.schema import Row

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

_log = logging.getLogger(__name__)

PROTOCOL = "lm-eval, zero-shot, likeliest choice"


def score_text(answers: Answers[LmEvalScoring]) -> BenchmarkResult:
    """Score a text benchmark.

    Raises:
        BenchmarkError: no such task, its data are not here or were others, or a request that was never answered.
    """
    work_offline()
    settings = answers.settings
    rejected: list[RejectedRow] = []
    if settings.task is None:
        tasks, rejected = load_cloze(answers.name, answers.file("cloze.jsonl"))
    else:
        tasks = load_registered(settings.task)
    data_sets, asked = data_sets_of(tasks), read_manifest(answers.folder).facts["data_sets"]
    if data_sets != asked:
        raise BenchmarkError(
            f"evaluate.benchmarks.{answers.name}: answers are to {', '.join(asked)}, here is {', '.join(data_sets)}; "
            f"fetch what was answered, or delete {answers.folder} and run again"
        )
    stored = StoredLikelihoods(answers.folder)
    by_task = run_zero_shot(tasks, stored.respond, settings.limit)
    documents = [
        _document(task, sample)
        for task, samples in sorted(by_task.items())
        for sample in sorted(samples, key=lambda sample: sample["doc_id"])
    ]
    if not tasks["tasks"]:
        _log.warning("%s: its source made no questions, so nothing is scored; see the source's log", answers.name)
    elif not documents:
        raise BenchmarkError(f"evaluate.benchmarks.{answers.name}: no documents were scored; raise 'limit'")
    return BenchmarkResult(
        text_scores(documents, settings.chance),
        [{name: row[name] for name in SAMPLES.names} for row in documents],
        PROTOCOL,
        rejected=rejected,
        data_sets=data_sets,
    )


class StoredLikelihoods:
    """What a checkpoint answered, by request; a request that stands several times has as many answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers: dict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
        for row in pq.read_table(folder / LIKELIHOODS_FILE).to_pylist():
            request = (row["context"], row["continuation"])
            self._answers[request].append((row["log_likelihood"], row["is_greedy"]))

    def respond(self, requests: Sequence["Instance"]) -> list[tuple[float, bool]]:
        """See `Respond`.

        Raises:
            BenchmarkError: a request that was never answered.
        """
        responses = []
        for request in requests:
            left = self._answers[request.args[0], request.args[1]]
            if not left:
                raise BenchmarkError(
                    f"{self.folder}: no answer to {request.args[0][-60:]!r} with {request.args[1]!r}, so lm-eval or "
                    f"its data changed since; delete {self.folder} and run again"
                )
            responses.append(left.pop(0))
        return responses


def text_scores(documents: Sequence[Row], chance: float) -> list[Score]:
    """Accuracies over all documents, as lm-eval weighs the tasks of a group such as MMLU."""
    scores: list[Score] = []
    for metric in METRICS:
        values = [row[metric] for row in documents]
        if all(value is not None for value in values):
            scores += above_chance(metric, share(np.array(values)), chance)
    return scores


def _document(task: str, sample: dict[str, Any]) -> Row:
    """One of lm-eval's records as a row of `SAMPLES`, with its metrics."""
    arguments = list(sample["arguments"])
    choices = [str(argument[1]).strip() for argument in arguments]
    likelihoods = [float(response[0]) for response in sample["filtered_resps"]]
    chosen = int(np.argmax(likelihoods))
    target = sample["target"]
    answer = choices[target] if isinstance(target, int) and target < len(choices) else str(target)
    value = float(sample["acc"])
    return {
        "sample_id": f"{task}-{sample['doc_id']:06d}",
        "task": task,
        "prompt": str(arguments[0][0]),
        "prediction": choices[chosen],
        "answer": answer,
        "value": value,
        "reason": "" if value == 1.0 else "another choice is more probable",
        **{metric: None if metric not in sample else float(sample[metric]) for metric in METRICS},
    }

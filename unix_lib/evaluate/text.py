"""Text benchmarks through lm-eval: local cloze questions, or a task of its registry, zero-shot and offline.

In: a checkpoint and a task. Out: one sample per document and the task's accuracies. lm-eval scores log-likelihoods
of choices; our own part is the task's config, the samples' table and the intervals. lm-eval is imported only when
a task is not stored yet (2 s).
"""

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unix_lib.artefacts.files import lines_of
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.evaluate.benchmark import BenchmarkError, BenchmarkResult, BenchmarkTask
from unix_lib.evaluate.intervals import share
from unix_lib.evaluate.registry import data_set_of, load_registered, task_manager
from unix_lib.evaluate.tables import SAMPLES, Score

log = logging.getLogger(__name__)
METRICS = ("acc", "acc_norm")  # of lm-eval; the second divides a choice's log-likelihood by its bytes
CLOZE_KEYS = {"question": str, "choices": list, "answer": int}
DOCUMENT = pa.schema(
    [
        *(SAMPLES.field(name) for name in SAMPLES.names),
        *(pa.field(metric, pa.float64()) for metric in METRICS),
        pa.field("data_set", pa.string(), nullable=False),  # see `data_set_of`
    ]
)


def score_text(task: BenchmarkTask) -> BenchmarkResult:
    """Run a text benchmark and score it.

    Raises:
        BenchmarkError: no such task, or its data are not here.
    """
    store = task.open_store(DOCUMENT)
    registered = task.settings.get("task")
    if registered is not None:
        compute: Callable[[], list[dict[str, Any]]] = lambda: run_registered_task(  # noqa: E731
            task.checkpoint, registered, task.settings.get("limit")
        )
    else:
        rows = read_cloze(task.benchmark_file("cloze.jsonl"))[: task.settings.get("limit")]
        compute = lambda: run_cloze(task.checkpoint, task.name, rows)  # noqa: E731
    # lm-eval sorts a task's requests by length, so the whole task is the unit that is kept.
    if not store.done:
        store.append(compute())
    documents = store.rows()
    return BenchmarkResult(
        text_scores(documents, task.chance),
        [{name: row[name] for name in SAMPLES.names} for row in documents],
        data_sets=sorted({row["data_set"] for row in documents} - {""}),
    )


def text_scores(documents: Sequence[dict[str, Any]], chance: float) -> list[Score]:
    """Accuracies over all documents, as lm-eval weighs the tasks of a group such as MMLU."""
    scores = []
    for metric in METRICS:
        values = [row[metric] for row in documents]
        if all(value is not None for value in values):
            estimate = share(np.array(values))
            scores.append(Score(metric, estimate, chance))
            scores.append(Score(f"{metric}_minus_chance", estimate.minus(chance), 0.0))
    return scores


def read_cloze(path: Path) -> list[dict[str, Any]]:
    """Four-choice questions, a JSON object `{question, choices, answer}` a line.

    Raises:
        BenchmarkError: names the first bad line.
    """
    rows = []
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        try:
            row = json.loads(line)
            fits = all(isinstance(row[key], kind) for key, kind in CLOZE_KEYS.items())
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits or not 0 <= row["answer"] < len(row["choices"]):
            raise BenchmarkError(
                f"{path}:{number}: not a question with choices and an answer among them; make it again"
            )
        rows.append(row)
    if not rows:
        raise BenchmarkError(f"{path}: no questions; raise cloze_questions of the text source, or give it more text")
    return rows


def run_cloze(checkpoint: Checkpoint, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Score local questions as an lm-eval task; rows of `DOCUMENT`."""

    def dataset(**_: Any) -> dict[str, Any]:
        import datasets

        return {"test": datasets.Dataset.from_list(rows)}

    config = {
        "task": name,
        "custom_dataset": dataset,  # in memory: lm-eval's own JSON loader writes a cache into the user's home
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "target_delimiter": " ",
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in METRICS],
        "num_fewshot": 0,
    }
    return _run(checkpoint, lambda: task_manager(False).load([config]), limit=None)


def run_registered_task(checkpoint: Checkpoint, name: str, limit: int | None) -> list[dict[str, Any]]:
    """Score a task or group of lm-eval's registry, such as mmlu; rows of `DOCUMENT`.

    Raises:
        BenchmarkError: lm-eval has no such task, or its data set is not in the cache.
    """
    rows = _run(checkpoint, lambda: load_registered(name), limit=limit)
    if not rows:
        raise BenchmarkError(f"lm-eval task '{name}': no documents were scored; raise 'limit'")
    return rows


def _run(checkpoint: Checkpoint, load: Callable[[], dict[str, Any]], *, limit: int | None) -> list[dict[str, Any]]:
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):  # jobs run without a network; read at import
        os.environ.setdefault(variable, "1")
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    for noisy in ("lm_eval", "lm_eval.api.task", "lm_eval.evaluator", "lm_eval.models.huggingface"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    loaded = load()
    for each in loaded["tasks"].values():
        each.set_config(key="num_fewshot", value=0)  # PAPER: all five text tasks are zero-shot
    model = HFLM(pretrained=checkpoint.model, tokenizer=checkpoint.tokenizer, batch_size=checkpoint.batch_size)
    results = evaluate(model, loaded, limit=limit, bootstrap_iters=0, log_samples=True)
    assert results is not None  # None only on ranks other than 0
    return [
        _document(name, sample, data_set_of(loaded["tasks"][name]))
        for name, samples in sorted(results["samples"].items())
        for sample in sorted(samples, key=lambda sample: sample["doc_id"])
    ]


def _document(task: str, sample: dict[str, Any], data_set: str) -> dict[str, Any]:
    """One of lm-eval's sample records as a row of `DOCUMENT`."""
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
        "data_set": data_set,
        **{metric: None if metric not in sample else float(sample[metric]) for metric in METRICS},
    }

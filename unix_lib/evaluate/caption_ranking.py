"""Scores ranked captions: how often an image's own caption is the most probable of its candidates.

The others are captions of the same source, so that a model that doesn't look at the image is right once in k times,
whatever captions it likes.
"""

from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.tables import RANKINGS_FILE
from unix_lib.config.evaluate import ScoringSettings
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.intervals import clustered_share
from unix_lib.evaluate.tables import Score, above_chance
from unix_lib.records.schema import Row


def score_rankings(answers: Answers[ScoringSettings]) -> BenchmarkResult:
    """Accuracies by the log-likelihood of whole captions, and by that of a token of theirs.

    Raises:
        BenchmarkError: not one image has a caption that can be ranked.
    """
    of_sample: dict[str, list[Row]] = defaultdict(list)
    for row in pq.read_table(answers.folder / RANKINGS_FILE).to_pylist():
        of_sample[row["sample_id"]].append(row)
    if not of_sample:
        lost = read_manifest(answers.folder).facts["set_aside"]
        why = ", ".join(f"{count} {reason}" for reason, count in lost.items()) or "none is held out"
        raise BenchmarkError(
            f"evaluate.benchmarks.{answers.name}: no image with a caption that can be ranked ({why}); hold more out, "
            "or set 'split: all' where no run is trained on the source"
        )
    images = np.array([rows[0]["image_id"] for rows in of_sample.values()])
    whole, per_token = ([_chosen(rows, key) for rows in of_sample.values()] for key in ("sum", "mean"))
    scores: list[Score] = []
    for metric, chosen in (("accuracy", whole), ("accuracy_per_token", per_token)):
        values = np.array([row["own"] for row in chosen], dtype=np.float64)
        estimate = clustered_share(values, images, samples=answers.bootstrap_samples)
        scores += above_chance(metric, estimate, answers.settings.chance)
    samples = [
        {
            "sample_id": sample_id,
            "task": "",
            "prompt": " | ".join(row["caption"] for row in of_sample[sample_id]),
            "prediction": row["caption"],
            "answer": next(other["caption"] for other in of_sample[sample_id] if other["own"]),
            "value": float(row["own"]),
            "reason": "" if row["own"] else "another caption is more probable",
        }
        for sample_id, row in zip(of_sample, whole, strict=True)
    ]
    candidates = round(1 / answers.settings.chance)
    return BenchmarkResult(scores, samples, f"captions ranked by log-likelihood, {candidates} candidates")


def _chosen(rows: list[Row], by: str) -> Row:
    return max(rows, key=lambda row: row["log_likelihood"] / (row["tokens"] if by == "mean" else 1))

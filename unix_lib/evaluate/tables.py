"""The tables that an evaluation writes: scores, samples and verdicts on images."""

import math
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.evaluate.intervals import Estimate
from unix_lib.records.schema import Row

# Columns that say whose a row is: fields of `Origin`.
ORIGIN = [
    pa.field("run", pa.string()),  # "" for a ceiling, which no run has reached
    pa.field("step", pa.int64()),  # -1 for a ceiling, or where nobody knows
    pa.field("tokens", pa.int64()),  # trained on since the run's start; -1 likewise
    pa.field("architecture", pa.string()),  # "" for a ceiling
    pa.field("seed", pa.int64()),  # -1 likewise
]
SCORES = pa.schema(
    [
        *(field.with_nullable(False) for field in ORIGIN),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64()),  # null where undefined, such as F1 without a yes
        pa.field("standard_error", pa.float64()),
        pa.field("low", pa.float64()),  # 95% interval
        pa.field("high", pa.float64()),
        pa.field("n", pa.int64(), nullable=False),  # samples behind the value
        pa.field("chance", pa.float64()),  # value of a blind guesser; null where not defined
        pa.field("protocol", pa.string(), nullable=False),  # only scores of one protocol and judge compare
        pa.field("judge", pa.string(), nullable=False),  # kind, version and model; "" without one
    ]
)

SAMPLES = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),  # GenEval's tag, a question's category, an lm-eval task
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("prediction", pa.string(), nullable=False),  # the model's words, the option chosen, objects seen
        pa.field("answer", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),  # 0..1
        pa.field("reason", pa.string(), nullable=False),  # why it is wrong; empty where it is right
    ]
)

VERDICTS = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("prompt_index", pa.int64(), nullable=False),
        pa.field("sample_index", pa.int64(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("shuffled_value", pa.float64()),  # null where all prompts of the task ask for the same
        pa.field("reason", pa.string(), nullable=False),
    ]
)

FEATURES_FILE = "features.parquet"
FEATURES = pa.schema(
    [
        pa.field("of", pa.string(), nullable=False),  # drawn | own
        pa.field("features", pa.list_(pa.float32()), nullable=False),
    ]
)
JUDGED_FILE = "judged.parquet"
JUDGED = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("sample_index", pa.int64(), nullable=False),  # which of the prompt's images, the cell of its grid
        pa.field("proposition", pa.int64(), nullable=False),  # number of the question about it
        pa.field("answer", pa.string()),  # the judge's words; null where it gave none that can be used
    ]
)
READINGS = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("protocol", pa.string(), nullable=False),  # as a config names it
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("prediction", pa.string(), nullable=False),  # the model's words
        pa.field("reading", pa.string()),  # yes, no, a letter; Z where none of them is meant, null where unread
        pa.field("by_judge", pa.bool_(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Score:
    """One metric of a benchmark."""

    metric: str
    estimate: Estimate
    chance: float | None = None


def above_chance(metric: str, estimate: Estimate, chance: float) -> list[Score]:
    """A metric, and how far it is above a blind guesser's."""
    return [Score(metric, estimate, chance), Score(f"{metric}_minus_chance", estimate.minus(chance), 0.0)]


@dataclass(frozen=True)
class Origin:
    """Whose scores they are: the checkpoint, or nobody's for a ceiling."""

    run: str = ""
    step: int = -1
    tokens: int = -1
    architecture: str = ""
    seed: int = -1


def origin_of(artefact: Path) -> Origin:
    """Whose an artefact is, a checkpoint or its answers, as its manifest has it."""
    facts = read_manifest(artefact).facts
    return Origin(**{field.name: facts[field.name] for field in fields(Origin)})


def score_rows(origin: Origin, benchmark: str, scores: list[Score], protocol: str, judge: str) -> list[Row]:
    """Rows of `scores.parquet`."""
    return [
        {
            **vars(origin),
            "benchmark": benchmark,
            "metric": score.metric,
            "chance": score.chance,
            "protocol": protocol,
            "judge": judge,
            **{name: null_for_nan(value) for name, value in vars(score.estimate).items()},
        }
        for score in scores
    ]


def null_for_nan(value: float) -> float | None:
    """NaN, which says that a number is not defined, as a table's null."""
    return None if math.isnan(value) else value


def write_table(rows: list[Row], schema: pa.Schema, path: Path) -> int:
    """Write rows atomically; returns their number."""
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
    return len(rows)

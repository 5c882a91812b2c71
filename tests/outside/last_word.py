"""A scorer of one's own: does a checkpoint end a poem with its own last word?"""

import json
from typing import Any, Literal

from unix_lib.benchmarks.settings import AskedSettings
from unix_lib.config.evaluate import BenchmarkSettings, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution
from unix_lib.config.kinds import JobKind


class LastWordBenchmark(BenchmarkSettings):
    """What a config says of it."""

    scorer: Literal["tests.outside.last_word"]

    def made(self) -> str:
        return "rhymes"


KIND = ScorerKind(
    settings=LastWordBenchmark,
    family="text",
    generate=JobKind(AskedSettings, f"{__name__}:make_words", 1, DecodingExecution),
    score=f"{__name__}:score_words",
    scoring=ScoringSettings,
    logic_version=1,
    has_images=False,
)


def make_words(job: Any, checkpoint: Any = None) -> Any:
    """Let a checkpoint continue every beginning; `words.parquet`: answer, prediction."""
    import pyarrow as pa

    from unix_lib.generate.members import asked_file, checkpoint_of, finish
    from unix_lib.inference.batches import generate_text
    from unix_lib.inference.requests import TextSampling
    from unix_lib.pack.sequences import encode_texts
    from unix_lib.records.lines import numbered_lines

    checkpoint = checkpoint or checkpoint_of([job])
    pairs = [json.loads(line) for _, line in numbered_lines(asked_file(job, "rhymes.jsonl"))]
    ids = generate_text(
        checkpoint.engine,
        encode_texts(checkpoint.tokenizer, [beginning for beginning, _ in pairs]),
        TextSampling(most_tokens=4),
        stop_ids=[checkpoint.vocabulary.eos_id],
    )
    words = [checkpoint.tokenizer.decode(one).strip() for one in ids]
    answers = pa.table({"answer": [last for _, last in pairs], "prediction": words})
    return finish(job, checkpoint, "words.parquet", answers)


def score_words(answers: Any) -> Any:
    """The share of poems that end as they should."""
    import numpy as np
    import pyarrow.parquet as pq

    from unix_lib.evaluate.benchmark import BenchmarkResult
    from unix_lib.evaluate.intervals import share
    from unix_lib.evaluate.tables import Score

    rows = pq.read_table(answers.folder / "words.parquet").to_pylist()
    right = np.array([row["prediction"].startswith(row["answer"]) for row in rows])
    samples = [
        {"sample_id": f"{number}", "task": "", "prompt": "", "value": float(value), "reason": ""} | row
        for number, (row, value) in enumerate(zip(rows, right, strict=True))
    ]
    score = Score("accuracy", share(right), answers.settings.chance)
    return BenchmarkResult([score], samples, protocol="last word, greedy")

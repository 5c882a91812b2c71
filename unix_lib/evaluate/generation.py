"""Scores GenEval: a judge finds the objects in a checkpoint's images, and GenEval's rules hold them against prompts.

Each image is held against its own prompt and against another one of the same task. That control says what an image
scores that has nothing to do with its prompt.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unix_lib.artefacts.files import canonical_json
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import Prompt, read_prompts
from unix_lib.benchmarks.tables import IMAGES_FILE
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.fitness import require_fit
from unix_lib.evaluate.geneval import geneval_scores, judge, samples_of, shuffled_prompts
from unix_lib.evaluate.scorers.geneval import GenEvalScoring, Judged
from unix_lib.evaluate.tables import Score
from unix_lib.judges.detector import Detector
from unix_lib.judges.judge import Detection, JudgeError, ObjectFinder, open_judge
from unix_lib.records.schema import Row

log = logging.getLogger(__name__)
JUDGED_AT_ONCE = 64


def score_geneval(answers: Answers[GenEvalScoring]) -> BenchmarkResult:
    """Judge the images of all prompts, and score them against their own and other prompts.

    Raises:
        BenchmarkError: the scene detector is to judge what no source drew, or images are of other prompts.
        UnfitDetectorError: the scene detector misreads this source's scenes. JudgeError: a judge that fails.
    """
    settings = answers.settings
    prompts, rejected = read_prompts(answers.file("geneval.jsonl"), settings.limit)
    rows, objects = [], []
    finder: ObjectFinder | None = None
    for some, images in _images(answers.folder):
        if any(row["prompt_index"] >= len(prompts) for row in some) or any(
            row["prompt"] != prompts[row["prompt_index"]]["prompt"] for row in some
        ):
            raise BenchmarkError(f"{answers.folder}: images of other prompts; delete them and run again")
        if finder is None:
            finder = _open(answers, images.shape[1])
        rows += some
        objects += found_in(finder, images)
        log.info("%s: %d images judged", answers.name, len(rows))
    samples, verdicts = verdicts_on(prompts, rows, objects, settings.seed)
    scores = scores_of(prompts, verdicts, answers.bootstrap_samples)
    return BenchmarkResult(scores, samples, protocol_of(rows), judge_of(settings), verdicts, rejected)


def _images(folder: Path) -> Iterator[tuple[list[Row], np.ndarray]]:
    """Rows without images, and the images, uint8 (N, S, S, 3), a few at a time."""
    with pq.ParquetFile(folder / IMAGES_FILE) as file:
        for batch in file.iter_batches(JUDGED_AT_ONCE):
            some = batch.to_pylist()
            yield some, np.stack([np.asarray(Image.open(io.BytesIO(row.pop("image"))).convert("RGB")) for row in some])


def _open(answers: Answers[GenEvalScoring], image_size: int) -> ObjectFinder:
    """The benchmark's judge; the scene detector must first read what the source drew."""
    settings = answers.settings
    finder: ObjectFinder = open_judge(settings.judge, settings.judge_version, image_size, answers.judges)
    if isinstance(finder, Detector):
        if answers.source is None:
            raise BenchmarkError(
                f"evaluate.benchmarks.{answers.name}: the scene detector reads only a source's scenes; GenEval's own "
                "prompts need a judge of real objects, named under evaluate.judges"
            )
        require_fit(finder, answers.source, image_size)
    return finder


def found_in(finder: ObjectFinder, images: np.ndarray) -> list[list[Detection]]:
    """The objects in each image, uint8 (N, S, S, 3).

    Raises:
        JudgeError: not a list for each image.
    """
    found = finder.objects(images)
    if len(found) != len(images):
        raise JudgeError(f"a judge gave {len(found)} lists of objects for {len(images)} images; correct the judge")
    return found


def judge_of(settings: Judged) -> str:
    """What scores say of who judged."""
    return f"{settings.judge.kind} {settings.judge_version}"


def protocol_of(rows: Sequence[Row]) -> str:
    """What scores say of how images were asked for and scored."""
    return f"geneval, {1 + max(row['sample_index'] for row in rows)} images a prompt"


def verdicts_on(
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    objects: Sequence[Sequence[Detection]],
    seed: int,
) -> tuple[list[Row], list[Row]]:
    """Rows of `SAMPLES` and of `VERDICTS`, but for the benchmark's name.

    `rows` have the `prompt_index` and `sample_index` of each image, `objects` what was seen in it; `seed` is of the
    control's prompts.
    """
    partner = shuffled_prompts(prompts, seed)
    samples, verdicts = [], []
    for row, seen in zip(rows, objects, strict=True):
        metadata, other = prompts[row["prompt_index"]], partner[row["prompt_index"]]
        verdict = judge(metadata, seen)
        common = {
            "task": metadata["tag"],
            "prompt": metadata["prompt"],
            "value": float(verdict.correct),
            "reason": verdict.reason,
        }
        samples.append(
            common
            | {
                "sample_id": f"{row['prompt_index']:05d}-{row['sample_index']}",
                "prediction": "; ".join(str(found) for found in seen),
                "answer": canonical_json({"include": metadata["include"], "exclude": metadata.get("exclude", [])}),
            }
        )
        verdicts.append(
            common
            | {
                "prompt_index": row["prompt_index"],
                "sample_index": row["sample_index"],
                "shuffled_value": None if other is None else float(judge(prompts[other], seen).correct),
            }
        )
    return samples, verdicts


def scores_of(prompts: Sequence[Prompt], verdicts: Sequence[Row], bootstrap_samples: int) -> list[Score]:
    """GenEval's scores of verdicts."""
    labels = samples_of(prompts)
    return geneval_scores(
        np.array([row["task"] for row in verdicts]),
        np.array([labels[row["prompt_index"]] for row in verdicts]),
        np.array([row["value"] for row in verdicts]),
        np.array([np.nan if row["shuffled_value"] is None else row["shuffled_value"] for row in verdicts]),
        bootstrap_samples,
    )

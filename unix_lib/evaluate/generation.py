"""Scores GenEval: a judge finds the objects in a checkpoint's images, and GenEval's rules hold them against prompts.

Each image is held against its own prompt and against another one of the same task. That control says what an image
scores that has nothing to do with its prompt.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from unix_lib.artefacts.files import canonical_json, digest_of
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import Prompt, read_prompts
from unix_lib.benchmarks.rows import RejectedRow
from unix_lib.benchmarks.tables import IMAGES_FILE
from unix_lib.config.evaluate import Judged, JudgeSettings
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.fitness import require_fit
from unix_lib.evaluate.geneval import confident, geneval_scores, judge, samples_of, shuffled_prompts
from unix_lib.evaluate.geneval_results import ResultLine, result_line
from unix_lib.evaluate.scorers.geneval import GenEvalScoring
from unix_lib.evaluate.stored_images import decoded, images_a_prompt, stored_images, why_missing
from unix_lib.evaluate.tables import Score
from unix_lib.judges.detector import Detector
from unix_lib.judges.inquiry import Asked, ObjectInquiry
from unix_lib.judges.judge import Detection, NoVerdict, ObjectFinder, as_configured, open_judge
from unix_lib.records.schema import Row

NO_VERDICT = "no verdict"  # why an image is set aside
NO_IMAGE = "no image"  # which is wrong


def score_geneval(answers: Answers[GenEvalScoring]) -> BenchmarkResult:
    """Judge the images of all prompts, and score them against their own and other prompts.

    Raises:
        BenchmarkError: the scene detector is to judge what no source drew, or images are of other prompts.
        UnfitDetectorError: the scene detector misreads this source's scenes. JudgeError: a judge that can't be asked,
        or that gives no verdict on more than one image in a hundred; fewer are set aside.
    """
    settings = answers.settings
    prompts, rejected = read_prompts(answers.file("geneval.jsonl"), settings.limit, settings.prompts)
    partner = shuffled_prompts(prompts, settings.seed)
    rows, objects = [], []
    inquiry: ObjectInquiry | None = None
    for some, images in stored_images(answers.folder):
        if any(row["prompt_index"] >= len(prompts) for row in some) or any(
            row["prompt"] != prompts[row["prompt_index"]]["prompt"] for row in some
        ):
            raise BenchmarkError(f"{answers.folder}: images of other prompts; delete them and run again")
        if inquiry is None:
            finder, total = _open(answers, decoded(images[0]).shape[1]), pq.read_metadata(answers.folder / IMAGES_FILE)
            inquiry = ObjectInquiry(
                answers.name,
                answers.work,
                total.num_rows,
                finder,
                as_configured(settings.judge, answers.judges).at_once,
            )
        wanted = [colors_wanted(prompts, partner, row["prompt_index"]) for row in some]
        for row, seen in zip(some, inquiry.objects(list(map(asked, images, wanted))), strict=True):
            if isinstance(seen, NoVerdict):
                place = f"{answers.name}:{IMAGES_FILE}"
                rejected.append(RejectedRow(sample_id_of(row), place, NO_VERDICT, seen.reason))
            else:
                rows.append(row)
                objects.append(seen)
    for row, why in undrawn(answers.folder, len(prompts)):
        rejected.append(RejectedRow(sample_id_of(row), answers.name, NO_IMAGE, why))
        rows.append(row)
        objects.append([])
    samples, verdicts = verdicts_on(prompts, rows, objects, settings.seed, settings.judge)
    scores = scores_of(prompts, verdicts, answers.bootstrap_samples)
    protocol = protocol_of(rows, settings.judge) + settings.reworded
    lines = result_lines(prompts, rows, objects, verdicts, settings.judge) if settings.judge.has_threshold else []
    return BenchmarkResult(scores, samples, protocol, judge_of(settings), verdicts, rejected, lines)


def undrawn(answers: Path, prompts: int) -> list[tuple[Row, str]]:
    """`prompt_index` and `sample_index` of images that are not there, each with why."""
    drawn = pq.read_table(answers / IMAGES_FILE, columns=["prompt_index", "sample_index"]).to_pydict().values()
    missing = {*product(range(prompts), range(images_a_prompt(answers)))}.difference(zip(*drawn, strict=True))
    reasons = why_missing(answers)
    return [
        (
            {"prompt_index": place[0], "sample_index": place[1]},
            reasons.get(place, "its prompt is too long for the model"),
        )
        for place in sorted(missing)
    ]


def asked(image: bytes, wanted: Mapping[str, int]) -> Asked:
    """What a judge is asked about a stored image; `wanted` is from `colors_wanted`."""
    return Asked(digest_of([hashlib.sha256(image).hexdigest(), wanted]), partial(decoded, image), wanted)


def colors_wanted(prompts: Sequence[Prompt], partner: Sequence[int | None], index: int) -> dict[str, int]:
    """Of how many objects of which class a colour decides, in an image of a prompt: for that and for its control."""
    wanted: dict[str, int] = {}
    for each in (index, partner[index]):
        for clause in prompts[each]["include"] if each is not None else ():
            if clause.get("color") is not None:
                wanted[clause["class"]] = max(wanted.get(clause["class"], 0), clause["count"])
    return wanted


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


def judge_of(settings: Judged) -> str:
    """What scores say of who judged."""
    return judge_called(settings.judge, settings.judge_version)


def judge_called(judge: JudgeSettings, version: int) -> str:
    """A judge's kind, that kind's logic version, and its model."""
    return f"{judge.kind} {version} {judge.model_name()}".strip()


def protocol_of(rows: Sequence[Row], judge: JudgeSettings) -> str:
    """What scores say of how images were asked for and scored."""
    return f"{judge.protocol}, {1 + max(row['sample_index'] for row in rows)} images a prompt"


def sample_id_of(row: Row) -> str:
    """What an image of a prompt is called."""
    return f"{row['prompt_index']:05d}-{row['sample_index']}"


def verdicts_on(
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    objects: Sequence[Sequence[Detection]],
    seed: int,
    by: JudgeSettings,
) -> tuple[list[Row], list[Row]]:
    """Rows of `SAMPLES` and of `VERDICTS`, but for the benchmark's name.

    `rows` have the `prompt_index` and `sample_index` of each image, `objects` what was seen in it, by whom, `by`;
    `seed` is of the control's prompts.
    """
    partner = shuffled_prompts(prompts, seed)
    samples, verdicts = [], []
    for row, all_seen in zip(rows, objects, strict=True):
        metadata, other = prompts[row["prompt_index"]], partner[row["prompt_index"]]
        seen = confident(all_seen, by.least_confidence(metadata["tag"]))
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
                "sample_id": sample_id_of(row),
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


def result_lines(
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    objects: Sequence[Sequence[Detection]],
    verdicts: Sequence[Row],
    by: JudgeSettings,
) -> list[ResultLine]:
    """The images as GenEval's authors write them; a row may have a `file` of its own, below the images' folder."""
    lines = []
    for row, seen, verdict in zip(rows, objects, verdicts, strict=True):
        prompt, place = prompts[row["prompt_index"]], f"{row['prompt_index']:05d}/samples/{row['sample_index']:05d}.png"
        counted = confident(seen, by.least_confidence(verdict["task"]))
        correct = verdict["value"] == 1.0
        lines.append(result_line(row.get("file", place), prompt, correct, verdict["reason"], counted))
    return lines


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

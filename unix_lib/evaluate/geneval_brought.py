"""Judges and scores a folder of images that were made elsewhere by GenEval's rules.

Writes `results.jsonl` and their summary, `results.txt`, as the authors' scripts do, `scores.csv` with intervals,
`rejected.parquet` with what was set aside, and `judged.json`, which says by whom and of which prompts. What a judge
said stays in `work`: a run that was stopped goes on, and one with more images judges only those.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from unix_lib.artefacts.files import atomic_path, digest_of, sha256_of, write_json
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import Prompt, read_prompts
from unix_lib.benchmarks.rows import first_of
from unix_lib.config.evaluate import JudgeKind, JudgeSettings
from unix_lib.config.kinds import find_kind
from unix_lib.evaluate.generation import (
    NO_VERDICT,
    colors_wanted,
    judge_called,
    protocol_of,
    result_lines,
    scores_of,
    verdicts_on,
)
from unix_lib.evaluate.geneval import shuffled_prompts
from unix_lib.evaluate.geneval_folder import Brought, BroughtImages, read_folder
from unix_lib.evaluate.geneval_results import ResultLine, write_results
from unix_lib.evaluate.tables import ORIGIN, SCORES, Origin, score_rows
from unix_lib.judges.inquiry import Asked, ObjectInquiry
from unix_lib.judges.judge import Detection, NoVerdict, open_judge
from unix_lib.records.schema import Row

CONTROL_SEED = 218  # of the prompts that images are held against as a control
BOOTSTRAP_SAMPLES = 2000
MISSING = "missing image"  # why it is wrong
AT_ONCE = 64


@dataclass(frozen=True)
class FolderOrder:
    """What is to be judged, by whom, and where the results go."""

    folder: Path
    judge: JudgeSettings
    output: Path
    prompts: Path | None = None  # the benchmark's; None believes the folder
    per_prompt: int | None = None


def judge_folder(order: FolderOrder) -> str:
    """Judge a folder; returns its summary.

    Raises:
        BenchmarkError: no images, or a line that is no prompt. GenEvalError: no prompts.
        JudgeError: see `ObjectInquiry`.
    """
    benchmark = None if order.prompts is None else _benchmark(order.prompts)
    brought = read_folder(order.folder, benchmark, order.per_prompt)
    objects = _judged(order, brought)
    rows = [image.row for image in objects]
    _, verdicts = verdicts_on(brought.prompts, rows, list(objects.values()), CONTROL_SEED, order.judge)
    for image in brought.images:
        if image.path is None:
            about = {"task": brought.prompts[image.prompt_index]["tag"]}
            verdicts.append(image.row | about | {"value": 0.0, "shuffled_value": None, "reason": MISSING})
            rows.append(image.row)
            objects[image] = []
    lines = result_lines(brought.prompts, rows, list(objects.values()), verdicts, order.judge)
    return _write(order, brought, sorted(lines, key=lambda line: str(line["filename"])), verdicts)


def _benchmark(path: Path) -> list[Prompt]:
    """All of a benchmark's prompts: without one of them the numbers of all folders behind it would be wrong."""
    prompts, rejected = read_prompts(path)
    if rejected:
        raise BenchmarkError(f"{path}: {len(rejected)} lines are no prompts{first_of(rejected)}; mend the file")
    return prompts


def _judged(order: FolderOrder, brought: BroughtImages) -> dict[Brought, list[Detection]]:
    """What is in each image; those without a verdict are set aside."""
    version = find_kind("judge", order.judge.kind, JudgeKind).logic_version
    images = [image for image in brought.images if image.path is not None]
    finder = open_judge(order.judge, version, images[0].rgb().shape[1], {})
    work = order.output / "work" / digest_of([order.judge.semantic(), version])[:16]
    inquiry = ObjectInquiry(order.folder.name, work, len(images), finder, order.judge.at_once)
    partner = shuffled_prompts(brought.prompts, CONTROL_SEED)
    found: dict[Brought, list[Detection]] = {}
    for begin in range(0, len(images), AT_ONCE):
        some = images[begin : begin + AT_ONCE]
        wanted = [colors_wanted(brought.prompts, partner, image.prompt_index) for image in some]
        asked = [
            Asked(digest_of([image.sha256, colors]), image.rgb, colors)
            for image, colors in zip(some, wanted, strict=True)
        ]
        for image, seen in zip(some, inquiry.objects(asked), strict=True):
            if isinstance(seen, NoVerdict):
                brought.rejected.add(image.file, image.file, NO_VERDICT, seen.reason)
            else:
                found[image] = seen
    return found


def _write(order: FolderOrder, brought: BroughtImages, lines: list[ResultLine], verdicts: list[Row]) -> str:
    judge = judge_called(order.judge, find_kind("judge", order.judge.kind, JudgeKind).logic_version)
    protocol = protocol_of(verdicts, order.judge)
    scores = scores_of(brought.prompts, verdicts, BOOTSTRAP_SAMPLES)
    table = pa.Table.from_pylist(score_rows(Origin(), "geneval", scores, protocol, judge), schema=SCORES)
    remarks = ["", *_remarks(brought), f"Judge: {judge}; protocol: {protocol}"]
    write_results(lines, order.output, "results", *remarks)
    with atomic_path(order.output / "scores.csv") as temporary:
        csv.write_csv(table.drop_columns([field.name for field in ORIGIN]), temporary)
    brought.rejected.write(order.output)
    facts = {
        "folder": order.folder.name,
        "judge": judge,
        "judge_settings": order.judge.semantic(),
        "protocol": protocol,
        "prompts_sha256": None if order.prompts is None else sha256_of(order.prompts),
        "prompts": len(brought.prompts),
        "prompts_in_other_words": brought.reworded,
        "images": len(lines),
        "images_missing": brought.missing,
        "set_aside": brought.rejected.counts,
    }
    write_json(order.output / "judged.json", facts)
    return (order.output / "results.txt").read_text(encoding="utf-8")


def _remarks(brought: BroughtImages) -> list[str]:
    """What the summary says of what is not as it should be."""
    reasons = ", ".join(f"{reason} ({count})" for reason, count in brought.rejected.counts.items())
    return [
        f"Missing images, counted as wrong: {brought.missing} ({brought.per_prompt} a prompt)",
        f"Prompts in other words than the benchmark's: {brought.reworded}",
        f"Set aside: {reasons or 'nothing'}",
    ]

"""GenEval's results as its authors' scripts write and print them: a line an image, and a summary of the lines."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import write_text
from unix_lib.benchmarks.geneval_prompts import Prompt
from unix_lib.evaluate.geneval import MAX_OBJECTS
from unix_lib.judges.judge import Detection

ResultLine = dict[str, Any]  # filename, tag, prompt, correct, reason, metadata, details


def result_line(file: str, prompt: Prompt, correct: bool, reason: str, objects: Sequence[Detection]) -> ResultLine:
    """An image's line of `results.jsonl`; `details` are boxes with their confidence by class, surest first."""
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    for seen in sorted(objects, key=lambda seen: -seen.confidence):
        if len(boxes[seen.name]) < MAX_OBJECTS:
            boxes[seen.name].append([*seen.box, seen.confidence])
    return {
        "filename": file,
        "tag": prompt["tag"],
        "prompt": prompt["prompt"],
        "correct": correct,
        "reason": reason.replace("; ", "\n"),
        "metadata": json.dumps(prompt),
        "details": json.dumps(boxes),
    }


def write_results(lines: Sequence[ResultLine], folder: Path, name: str, *remarks: str) -> dict[str, int | None]:
    """Write `name`.jsonl and, with the summary and remarks of our own below it, `name`.txt.

    Returns:
        the files, below the folder's parent, as `Job.finish` takes them.
    """
    write_text(folder / f"{name}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    write_text(folder / f"{name}.txt", "\n".join([summary_of(lines), *remarks]) + "\n")
    return {f"{folder.name}/{name}.jsonl": len(lines), f"{folder.name}/{name}.txt": None}


def summary_of(lines: Sequence[ResultLine]) -> str:
    """What the authors' `summary_scores.py` prints of a file of results."""
    prompts: dict[str, bool] = defaultdict(bool)
    tasks: dict[str, list[bool]] = defaultdict(list)
    for line in lines:
        prompts[line["metadata"]] |= line["correct"]
        tasks[line["tag"]].append(line["correct"])
    means = {tag: sum(values) / len(values) for tag, values in tasks.items()}
    return "\n".join(
        [
            *("Summary", "======="),
            f"Total images: {len(lines)}",
            f"Total prompts: {len(prompts)}",
            f"% correct images: {sum(line['correct'] for line in lines) / len(lines):.2%}",
            f"% correct prompts: {sum(prompts.values()) / len(prompts):.2%}",
            *("", "Task breakdown", "=============="),
            *(f"{tag:<16} = {means[tag]:.2%} ({sum(tasks[tag])} / {len(tasks[tag])})" for tag in tasks),
            *("", f"Overall score (avg. over tasks): {sum(means.values()) / len(means):.5f}"),
        ]
    )

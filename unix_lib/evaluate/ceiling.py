"""The ceiling of a generation benchmark: what it gives to perfect images, before and after the image tokenizer.

In: a source's scenes and the image tokenizer, no model. Out: the detector's accuracy on rendered scenes, its accuracy
on their reconstructions, and GenEval's scores of reconstructed scenes that satisfy their prompts. No model that speaks
in this tokenizer's codes can be expected to score higher.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unix_lib.artefacts.files import canonical_json, lines_of
from unix_lib.artefacts.manifest import Manifest
from unix_lib.evaluate.benchmark import BenchmarkError
from unix_lib.evaluate.detector import Detector
from unix_lib.evaluate.fitness import REQUIRED_ACCURACY, heldout_scenes, scenes_read
from unix_lib.evaluate.generation import decode_images, judge_images, read_prompts
from unix_lib.evaluate.intervals import share
from unix_lib.evaluate.tables import SCORES, Origin, Score, score_rows, write_table
from unix_lib.jobs.job import Job
from unix_lib.sources.shapes.scenes import Scene, render_pixels

log = logging.getLogger(__name__)


def make_ceiling(job: Job) -> Manifest:
    """Make `evaluate/ceiling-<benchmark>`; `facts["fit_to_judge"]` says whether the detector is right often enough."""
    from unix_lib.tokenizers.image import device_of, load_image_tokenizer

    source = job.input("source")
    image_tokenizer = load_image_tokenizer(job.input("image_tokenizer"), device_of(job.execution))
    scores = ceiling_scores(
        source, image_tokenizer, job.execution.get("batch_size", 64), job.settings["bootstrap_samples"]
    )
    rows = score_rows(Origin(), job.settings["benchmark"], scores)
    values = {row["metric"]: row["value"] for row in rows}
    fit = values["detector_accuracy"] >= REQUIRED_ACCURACY
    if not fit:
        log.warning("the detector read %.1f%% of rendered scenes: not fit to judge", 100 * values["detector_accuracy"])
    files: dict[str, int | None] = {"scores.parquet": write_table(rows, SCORES, job.folder / "scores.parquet")}
    return job.finish(files, facts={"fit_to_judge": fit, "scores": values})


def ceiling_scores(source: Path, image_tokenizer: Any, batch_size: int, bootstrap_samples: int) -> list[Score]:
    """All of a ceiling's scores.

    Args:
        source: artefact of a `shapes` source.
        image_tokenizer: with `image_size`, `encode` and `decode`.
        batch_size: images coded together.
        bootstrap_samples: resamples of each interval.
    """
    detector = Detector.for_scenes(image_tokenizer.image_size)
    scenes, images = heldout_scenes(source)
    if images.shape[1] != detector.image_size:
        raise BenchmarkError(
            f"{source}: images of {images.shape[1]} px, the image tokenizer works on {detector.image_size} px; "
            "give both the same image_size"
        )
    rendered = share(scenes_read(detector, scenes, images))
    reconstructed = share(scenes_read(detector, scenes, reconstruct(image_tokenizer, images, batch_size)))
    log.info(
        "the detector reads %.1f%% of rendered scenes, %.1f%% after the tokenizer",
        *(100 * estimate.value for estimate in (rendered, reconstructed)),
    )

    prompts = read_prompts(source / "benchmarks" / "geneval.jsonl")
    truth = read_scenes(source / "benchmarks" / "geneval_scenes.jsonl", len(prompts))
    of_prompt = [(index, sample) for index, scenes in enumerate(truth) for sample in range(len(scenes))]
    perfect = np.stack([render_pixels(truth[index][sample], detector.image_size) for index, sample in of_prompt])

    def judged(pixels: np.ndarray) -> list[Score]:
        rows = [
            {
                "prompt_index": index,
                "sample_index": sample,
                "image": b"",
                "objects": canonical_json([vars(found) for found in detector.detect(image)]),
            }
            for (index, sample), image in zip(of_prompt, pixels, strict=True)
        ]
        return judge_images(prompts, rows, 0, bootstrap_samples).scores

    ceilings = [
        Score(f"{score.metric}_ceiling", score.estimate)
        for score in judged(reconstruct(image_tokenizer, perfect, batch_size))
        if "shuffled" not in score.metric
    ]
    overall = next(score for score in judged(perfect) if score.metric == "overall")
    return [
        Score("detector_accuracy", rendered),
        Score("detector_accuracy_reconstructed", reconstructed),
        Score("overall_rendered", overall.estimate),
        *ceilings,
    ]


def reconstruct(image_tokenizer: Any, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Images through the tokenizer and back, uint8 (N, S, S, 3)."""
    from unix_lib.images.pixels import pixels_from_rgb

    parts = []
    for begin in range(0, len(images), batch_size):
        batch = np.ascontiguousarray(images[begin : begin + batch_size].transpose(0, 3, 1, 2))
        parts.append(decode_images(image_tokenizer, image_tokenizer.encode(pixels_from_rgb(batch)).numpy()))
    return np.concatenate(parts)


def read_scenes(path: Path, prompts: int) -> Sequence[list[Scene]]:
    """Scenes that satisfy each prompt, a JSON list a line.

    Raises:
        BenchmarkError: not one line per prompt.
    """
    lines = lines_of(path.read_text(encoding="utf-8"))
    if len(lines) != prompts:
        raise BenchmarkError(f"{path}: {len(lines)} lines for {prompts} prompts; make the source again")
    return [[Scene.from_json(values) for values in json.loads(line)] for line in lines]

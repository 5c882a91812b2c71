"""Makes the ceiling of a generation benchmark: what it gives to perfect images, before and after the image tokenizer.

No model is asked. A ceiling holds the judge's accuracy on rendered scenes, its accuracy on their reconstructions, and
GenEval's scores of reconstructed scenes that satisfy their prompts. No model that speaks in this tokenizer's codes can
be expected to score higher.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.geneval_prompts import read_prompts
from unix_lib.config.evaluate import JudgedBatches
from unix_lib.evaluate.fitness import REQUIRED_ACCURACY, heldout_scenes, require_fit, scenes_read
from unix_lib.evaluate.generation import judge_of, protocol_of, scores_of, verdicts_on
from unix_lib.evaluate.intervals import share
from unix_lib.evaluate.scene_files import read_scenes
from unix_lib.evaluate.scorers.geneval import CeilingSettings
from unix_lib.evaluate.tables import SCORES, Origin, Score, score_rows, write_table
from unix_lib.jobs.job import Job
from unix_lib.judges.detector import Detector
from unix_lib.judges.inquiry import found_in
from unix_lib.judges.judge import ObjectFinder, open_judge
from unix_lib.sources.shapes.scenes import render_pixels

if TYPE_CHECKING:
    from unix_lib.tokenizers.image import ImageTokenizer

log = logging.getLogger(__name__)


def make_ceiling(job: Job[CeilingSettings, JudgedBatches]) -> Manifest:
    """Make `evaluate/ceiling-<benchmark>`; `facts["fit_to_judge"]` says whether the judge is right often enough.

    Raises:
        BenchmarkError: scenes that don't go with their prompts. UnfitDetectorError: scenes of another size, or that the
        scene detector misreads: better said here than after training.
    """
    from unix_lib.tokenizers.image import device_of, load_image_tokenizer

    benchmarks = job.input("benchmark")
    tokenizer = load_image_tokenizer(job.input("image_tokenizer"), device_of(job.shape))
    judged = job.settings
    finder = open_judge(judged.judge, judged.judge_version, tokenizer.image_size, job.execution.judges)
    if isinstance(finder, Detector):
        require_fit(finder, benchmarks, tokenizer.image_size)
    scores, protocol = ceiling_scores(benchmarks, tokenizer, finder, job.settings, job.execution.batch_size)
    rows = score_rows(Origin(), job.settings.benchmark, scores, protocol, judge_of(job.settings))
    values = {row["metric"]: row["value"] for row in rows}
    fit = values["detector_accuracy"] >= REQUIRED_ACCURACY
    if not fit:
        log.warning("the judge read %.1f%% of rendered scenes: not fit to judge", 100 * values["detector_accuracy"])
    files: dict[str, int | None] = {"scores.parquet": write_table(rows, SCORES, job.folder / "scores.parquet")}
    return job.finish(files, facts={"fit_to_judge": fit, "scores": values})


def ceiling_scores(
    benchmarks: Path, tokenizer: "ImageTokenizer", finder: ObjectFinder, settings: CeilingSettings, batch_size: int
) -> tuple[list[Score], str]:
    """All of a ceiling's scores, and their protocol; `benchmarks` is the artefact of a `shapes` source."""
    scenes, images = heldout_scenes(benchmarks, tokenizer.image_size)
    rendered = share(scenes_read(finder, scenes, images))
    reconstructed = share(scenes_read(finder, scenes, reconstruct(tokenizer, images, batch_size)))
    log.info(
        "the judge reads %.1f%% of rendered scenes, %.1f%% after the tokenizer",
        *(100 * estimate.value for estimate in (rendered, reconstructed)),
    )

    prompts, _ = read_prompts(benchmarks / "benchmarks" / "geneval.jsonl")
    truth = read_scenes(benchmarks / "benchmarks" / "geneval_scenes.jsonl", lines=len(prompts))
    rows = [
        {"prompt_index": index, "sample_index": sample}
        for index, scenes in enumerate(truth)
        for sample in range(len(scenes))
    ]
    perfect = np.stack(
        [render_pixels(truth[row["prompt_index"]][row["sample_index"]], tokenizer.image_size) for row in rows]
    )

    def judged(pixels: np.ndarray) -> list[Score]:
        _, verdicts = verdicts_on(prompts, rows, found_in(finder, pixels), 0, settings.judge)
        return scores_of(prompts, verdicts, settings.bootstrap_samples)

    ceilings = [
        Score(f"{score.metric}_ceiling", score.estimate)
        for score in judged(reconstruct(tokenizer, perfect, batch_size))
        if "shuffled" not in score.metric
    ]
    overall = next(score for score in judged(perfect) if score.metric == "overall")
    scores = [
        Score("detector_accuracy", rendered),
        Score("detector_accuracy_reconstructed", reconstructed),
        Score("overall_rendered", overall.estimate),
        *ceilings,
    ]
    return scores, protocol_of(rows, settings.judge)


def reconstruct(tokenizer: "ImageTokenizer", images: np.ndarray, batch_size: int) -> np.ndarray:
    """Images through the tokenizer and back, uint8 (N, S, S, 3)."""
    from unix_lib.tokenizers.coded_images import decode_images, encode_images

    batches = (images[begin : begin + batch_size] for begin in range(0, len(images), batch_size))
    return np.concatenate([decode_images(tokenizer, encode_images(tokenizer, batch)) for batch in batches])

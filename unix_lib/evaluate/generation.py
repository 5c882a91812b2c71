"""GenEval on a checkpoint: images sampled from its prompts, objects read from them, verdicts and scores.

In: `geneval.jsonl` of a source, and a checkpoint. Out: every image with its verdict, for its own prompt and for another
prompt of the same task. That control says what an image scores that has nothing to do with its prompt.
"""

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unix_lib.artefacts.files import canonical_json, lines_of
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.evaluate.benchmark import BenchmarkError, BenchmarkResult, BenchmarkTask
from unix_lib.evaluate.detector import Detection, Detector
from unix_lib.evaluate.fitness import require_fit, seen_objects
from unix_lib.evaluate.geneval import (
    GenEvalError,
    Verdict,
    check_prompt,
    geneval_scores,
    judge,
    samples_of,
    shuffled_prompts,
)

GENERATED = pa.schema(
    [
        pa.field("prompt_index", pa.int64(), nullable=False),
        pa.field("sample_index", pa.int64(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),  # PNG
        pa.field("objects", pa.string(), nullable=False),  # JSON list of detections
    ]
)


def read_prompts(path: Path, limit: int | None = None) -> list[dict[str, Any]]:
    """GenEval's prompt metadata, one JSON object a line.

    Args:
        path: `geneval.jsonl`.
        limit: keep this many, the tasks in turn, so that each stays represented.

    Raises:
        GenEvalError: names the first line that is not in GenEval's layout.
    """
    prompts = []
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        try:
            metadata = json.loads(line)
        except ValueError as error:
            raise GenEvalError(f"{path}:{number}: not JSON ({error}); make or fetch the file again") from None
        check_prompt(metadata, f"{path}:{number}")
        prompts.append(metadata)
    if not prompts:
        raise GenEvalError(f"{path}: no prompts; raise prompts_per_task of the source")
    if limit is None or limit >= len(prompts):
        return prompts
    seen: dict[str, int] = defaultdict(int)
    turn = []
    for index, prompt in enumerate(prompts):
        turn.append((seen[prompt["tag"]], index))
        seen[prompt["tag"]] += 1
    kept = sorted(index for _, index in sorted(turn)[:limit])
    return [prompts[index] for index in kept]


def image_seed(seed: int, prompt: str, occurrence: int, sample_index: int) -> int:
    """Seed of one image, 64 bits: the same for every checkpoint, whatever other prompts a file holds.

    Args:
        seed: of the sampling settings.
        prompt: the prompt's text.
        occurrence: how often the same text stood in the file before.
        sample_index: which image of the prompt.
    """
    digest = hashlib.sha256(canonical_json([seed, prompt, occurrence, sample_index]).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def score_geneval(task: BenchmarkTask) -> BenchmarkResult:
    """Generate images for all prompts, judge them, and score them against their own and other prompts.

    Raises:
        BenchmarkError: the benchmark is not from a `shapes` source: GenEval's own prompts speak of COCO's objects.
        UnfitDetectorError: the detector misreads this source's scenes.
    """
    if task.source is None:
        raise BenchmarkError(
            f"evaluate.benchmarks.{task.name}: GenEval's own prompts need its Mask2Former and CLIP judge, "
            "which is not in this version; give 'source', a source of kind shapes"
        )
    prompts = read_prompts(task.benchmark_file("geneval.jsonl"), task.settings.get("limit"))
    detector = Detector.for_scenes(task.checkpoint.image_tokenizer.image_size)
    require_fit(detector, task.source)

    sampling = task.settings["image_sampling"]
    wanted = [(index, sample) for index in range(len(prompts)) for sample in range(sampling["images_per_prompt"])]
    occurrences = _occurrences(prompts)

    def generate(batch: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        seeds = [
            image_seed(sampling["seed"], prompts[index]["prompt"], occurrences[index], sample)
            for index, sample in batch
        ]
        pixels = generate_pixels(task.checkpoint, [prompts[index]["prompt"] for index, _ in batch], seeds, sampling)
        return [
            {
                "prompt_index": index,
                "sample_index": sample,
                "image": png_bytes(image),
                "objects": canonical_json([vars(found) for found in detector.detect(image)]),
            }
            for (index, sample), image in zip(batch, pixels, strict=True)
        ]

    generated = task.open_store(GENERATED).fill(wanted, generate, batch_size=task.checkpoint.batch_size, name=task.name)
    return judge_images(prompts, generated, sampling["seed"], task.bootstrap_samples)


def _occurrences(prompts: Sequence[dict[str, Any]]) -> list[int]:
    """For each prompt, how often its text stood before it."""
    seen: dict[str, int] = defaultdict(int)
    before = []
    for prompt in prompts:
        before.append(seen[prompt["prompt"]])
        seen[prompt["prompt"]] += 1
    return before


def generate_pixels(
    checkpoint: Checkpoint, captions: list[str], seeds: list[int], sampling: dict[str, Any]
) -> np.ndarray:
    """One image per caption, uint8 (N, S, S, 3)."""
    from unix_lib.generate.images import generate_images
    from unix_lib.pack.sequences import text_to_image_prompt_ids

    @cache
    def prompt_of(caption: str | None) -> list[int]:
        return text_to_image_prompt_ids(checkpoint.tokenizer, checkpoint.vocabulary, caption)

    codes = generate_images(
        checkpoint.model,
        [prompt_of(caption) for caption in captions],
        prompt_of(None),
        seeds,
        guidance_scale=sampling["guidance_scale"],
        temperature=sampling["temperature"],
        top_k=sampling["top_k"],
        top_p=sampling["top_p"],
        batch_size=checkpoint.batch_size,
    )
    return decode_images(checkpoint.image_tokenizer, codes)


def decode_images(image_tokenizer: Any, codes: np.ndarray) -> np.ndarray:
    """Images of codes (N, codes_per_image), uint8 (N, S, S, 3)."""
    import torch

    from unix_lib.images.pixels import image_from_pixels

    decoded = image_tokenizer.decode(torch.from_numpy(codes.astype(np.int64)))
    return np.stack([np.asarray(image_from_pixels(pixels)) for pixels in decoded])


def png_bytes(image: np.ndarray) -> bytes:
    """PNG of uint8 (S, S, 3); the same bytes for the same pixels under one version of Pillow."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def judge_images(
    prompts: Sequence[dict[str, Any]], generated: Sequence[dict[str, Any]], seed: int, bootstrap_samples: int
) -> BenchmarkResult:
    """Verdicts and scores of images whose objects are known.

    Args:
        prompts: GenEval's metadata.
        generated: rows of `GENERATED`.
        seed: of the control's prompts.
        bootstrap_samples: resamples of each interval.
    """
    partner = shuffled_prompts(prompts, seed)
    samples, images, values, shuffled = [], [], [], []
    for row in generated:
        metadata = prompts[row["prompt_index"]]
        detections = [Detection(**{**found, "box": tuple(found["box"])}) for found in json.loads(row["objects"])]
        objects = seen_objects(detections)
        verdict: Verdict = judge(metadata, objects)
        other = partner[row["prompt_index"]]
        control = None if other is None else float(judge(prompts[other], objects).correct)
        values.append(float(verdict.correct))
        shuffled.append(np.nan if control is None else control)
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
                "prediction": "; ".join(str(found) for found in detections),
                "answer": canonical_json({"include": metadata["include"], "exclude": metadata.get("exclude", [])}),
            }
        )
        images.append(
            common
            | {name: row[name] for name in ("prompt_index", "sample_index", "image")}
            | {"shuffled_value": control}
        )
    labels = samples_of(prompts)
    scores = geneval_scores(
        np.array([row["task"] for row in images]),
        np.array([labels[row["prompt_index"]] for row in images]),
        np.array(values),
        np.array(shuffled),
        bootstrap_samples,
    )
    return BenchmarkResult(scores, samples, images)

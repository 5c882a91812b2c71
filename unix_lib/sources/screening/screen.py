"""Compares the hashes of a source's images with each other and with those of benchmarks."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from PIL import Image

from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.question_files import read_questions
from unix_lib.benchmarks.settings import Layout
from unix_lib.config.jobs import Execution
from unix_lib.images.alike import any_alike, first_alike
from unix_lib.images.files import MAX_ASPECT_RATIO, MAX_PIXELS, BadImage, check_header, png_bytes, square_rgb
from unix_lib.images.perceptual import perceptual_hash
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.shards import iterate_batches
from unix_lib.sources.screening.hashes import HASHES
from unix_lib.sources.screening.settings import PlannedScreening
from unix_lib.sources.writing import finish

NEAR_DUPLICATE, IN_BENCHMARK = "near_duplicate", "in_benchmark"

logger = logging.getLogger(__name__)


def make_screening(job: Job[PlannedScreening, Execution]) -> Manifest:
    """Make `sources/<source>-screening`: the images that are set aside, by name, over all parts of the source."""
    settings, rejected = job.settings, RejectedSamples()
    names, hashes = _all_hashes(job.inputs("hashes"))
    asked = list(_benchmark_hashes(settings.benchmark_files))
    like = any_alike(hashes, np.array([one for _, one in asked], np.uint64), settings.distance)
    stays = like < 0
    for place in np.flatnonzero(~stays).tolist():
        name = names[place].as_py()
        rejected.add(name, name, IN_BENCHMARK, f"looks like an image of {asked[like[place]][0]}")
    if settings.near_duplicates:
        left = np.flatnonzero(stays)
        first = first_alike(hashes[left], settings.distance)
        for place, earlier in zip(left[first >= 0].tolist(), left[first[first >= 0]].tolist(), strict=True):
            name = names[place].as_py()
            rejected.add(name, name, NEAR_DUPLICATE, f"looks like image {names[earlier].as_py()}, which stays")
    return finish(job, {}, {"images_compared": len(hashes), "benchmark_images": len(asked)}, rejected)


def _all_hashes(folders: list[Path]) -> tuple[pa.Array, np.ndarray]:
    """Names of images and their hashes, uint64, each image once, in the order of the parts; those without left out."""
    batches = [batch for folder in folders for batch in iterate_batches(folder, HASHES)]
    table = pa.Table.from_batches(batches).combine_chunks()
    table = table.filter(table["hash"].is_valid())
    codes = table["image_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    table = table.take(pa.array(np.sort(first))).combine_chunks()
    return table["image_id"].combine_chunks(), table["hash"].to_numpy()


def _benchmark_hashes(files: dict[str, str]) -> Iterator[tuple[str, int]]:
    """(name of the file, hash) of benchmarks' images: of each as it is, and of its centre, which sources may keep."""
    for name, layout in sorted(files.items()):
        questions, _ = read_questions(Path(name), cast("Layout", layout))
        images = {question.image_id: question for question in questions}
        for question in images.values():
            data = question.image_bytes
            try:
                check_header(io.BytesIO(data), MAX_PIXELS, MAX_ASPECT_RATIO)
                side = min(Image.open(io.BytesIO(data)).size)
                seen = {perceptual_hash(data), perceptual_hash(png_bytes(square_rgb(io.BytesIO(data), side)))}
            except BadImage as fault:
                logger.info("%s, question %s: %s", name, question.index, fault)
                continue
            yield from ((Path(name).name, one) for one in sorted(one for one in seen if one is not None))

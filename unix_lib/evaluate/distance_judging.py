"""Makes features of a checkpoint's images and of a source's own; a killed job goes on at the first missing ones."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import BatchedExecution
from unix_lib.evaluate.plain_features import plain_features
from unix_lib.evaluate.scorers.image_distance import Featured
from unix_lib.evaluate.stored_images import decoded, stored_images
from unix_lib.evaluate.tables import FEATURES, FEATURES_FILE, write_table
from unix_lib.generate.store import SampleStore
from unix_lib.images.files import BadImage
from unix_lib.jobs.job import Job
from unix_lib.pack.sampled import captioned_rows
from unix_lib.records.shards import SPLITS, Split
from unix_lib.sources.in_place.reading import Images
from unix_lib.tokenizers.image import device_of

log = logging.getLogger(__name__)
OWN, DRAWN = "own", "drawn"
AT_ONCE = 64


def make_features(job: Job[Featured, BatchedExecution]) -> Manifest:
    """Make `evaluate/<run>-step-00100-<benchmark>-judging`; own images that can't be read are counted by reason."""
    settings, rejected = job.settings, Counter[str]()
    features: Callable[[np.ndarray], np.ndarray] = plain_features
    if settings.features is not None:
        from unix_lib.evaluate.model_features import model_features

        features = model_features(settings.features, device_of(job.shape))
    store, begin = SampleStore(job.work, FEATURES), 0
    for of, images in _images(job, rejected):
        end = begin + len(images)
        if store.done < end:
            store.append([{"of": of, "features": row} for row in features(images).tolist()])
            log.info("%s: features of %d images", job.recipe.name, end)
        begin = end
    rows = store.table().to_pylist()
    files: dict[str, int | None] = {FEATURES_FILE: write_table(rows, FEATURES, job.folder / FEATURES_FILE)}
    manifest = job.finish(files, rejected=dict(rejected))
    job.clear_work()
    return manifest


def _images(job: Job[Featured, BatchedExecution], rejected: Counter[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Whose images they are, and uint8 (N, S, S, 3), a few at a time and always the same together."""
    size = 0
    for _, stored in stored_images(job.input("answers")):
        images = np.stack(list(map(decoded, stored)))
        size = images.shape[1]
        yield DRAWN, images
    settings = job.settings
    rows = captioned_rows(job.inputs("records"), settings.split, settings.limit)
    wanted = {row["image_ids"][0] for row in rows} if size else set()
    splits: tuple[Split, ...] = SPLITS if settings.split == "all" else ("heldout",)
    for folder in job.inputs("images"):
        source = Images(folder, size)
        for chunk in source.chunks(AT_ONCE, splits):
            places = [place for place, name in enumerate(chunk.ids) if name in wanted]
            found = list(source.decoded(chunk.read(places)))
            rejected.update(each.reason for each in found if isinstance(each, BadImage))
            if whole := [each.transpose(1, 2, 0) for each in found if not isinstance(each, BadImage)]:
                yield OWN, np.stack(whole)

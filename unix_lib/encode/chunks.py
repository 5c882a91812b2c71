"""Encodes a source's images, a chunk at a time, on one device or on several.

What a chunk's images became is kept, sealed, in an undeclared work folder beside the artefact: every minute, and when
the chunk ends. A killed job repeats what came after that. Results don't depend on where a job was stopped, nor on how
many devices there are: an image's batch is that of its chunk, and batches go to the devices in turn.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.encode import EncodeExecution, EncodeSettings
from unix_lib.encode.earlier import EarlierCodes
from unix_lib.images.files import BadImage
from unix_lib.jobs.job import Job
from unix_lib.jobs.progress import Progress
from unix_lib.records.schema import Row
from unix_lib.sources.in_place.reading import Chunk, Images

CHUNK_IMAGES = 2048  # a row group of what is made
KEPT_AFTER = 60.0  # seconds
CODES_FILE = "codes.parquet"
# What an image became: codes, or the reason why there are none.
ENCODED = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("image_codes", pa.list_(pa.uint16())),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
Encoded = np.ndarray | BadImage  # codes, uint16 (C,)

logger = logging.getLogger(__name__)


class Encoder(Protocol):
    """What encodes: C codes of an image of S pixels a side."""

    @property
    def image_size(self) -> int: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def codes_per_image(self) -> int: ...
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, S, S), float32 in [-1, 1] or uint8, to codes int64 (B, C), on the CPU."""


class ChunkEncoder:
    """What encodes the images of a job.

    Args:
        encoders: the same one on each of some devices.
    """

    def __init__(
        self, images: Images, encoders: Sequence[Encoder], job: Job[EncodeSettings, EncodeExecution], progress: Progress
    ) -> None:
        self._images, self._encoders, self._job, self._progress = images, encoders, job, progress
        self._earlier = EarlierCodes(job.results, job.recipe, images)
        self.encoded = self.taken_over = 0  # images, by this attempt

    def chunks(self) -> Iterator[pa.Table]:
        """What all images became, chunk by chunk (schema ENCODED)."""
        for index, chunk in enumerate(self._images.chunks(CHUNK_IMAGES)):
            prefix = f"chunk-{index:06d}-"
            known = _kept(sorted(self._job.work.glob(f"{prefix}*")), chunk)
            self._progress.advance(len(known), known=len(known))
            self._take_over(chunk, known)
            self._encode_others(chunk, known, self._job.work / prefix)
            yield _table(chunk, known)

    def _take_over(self, chunk: Chunk, known: dict[int, Encoded]) -> None:
        others = {place: name for place, name in enumerate(chunk.ids) if place not in known}
        codes = self._earlier.of(list(others.values()))
        taken_over = {place: codes[name] for place, name in others.items() if name in codes}
        known |= taken_over
        self.taken_over += len(taken_over)
        self._progress.advance(len(taken_over), known=len(taken_over))

    def _encode_others(self, chunk: Chunk, known: dict[int, Encoded], prefix: Path) -> None:
        """Add what is not known of a chunk, and keep it in pieces, each called by its first image."""
        piece: dict[int, Encoded] = {}
        began = time.monotonic()

        def keep() -> None:
            with sealed_folder(prefix.with_name(f"{prefix.name}{min(piece):06d}")) as folder:
                pq.write_table(_table(chunk, piece), folder / CODES_FILE, compression="zstd")
            known.update(piece)
            piece.clear()

        others = [place for place in range(len(chunk.ids)) if place not in known]
        for became in self._batches(chunk, others):
            piece |= became
            self.encoded += sum(not isinstance(one, BadImage) for one in became.values())
            self._progress.advance(len(became))
            if time.monotonic() - began >= KEPT_AFTER:
                keep()
                began = time.monotonic()
        if piece:
            keep()

    def _batches(self, chunk: Chunk, places: Sequence[int]) -> Iterator[dict[int, Encoded]]:
        """What images at some places became, `batch_size` a forward pass; decoded in as many threads as the job has."""
        batch_size, devices = self._job.execution.batch_size, len(self._encoders)
        running = deque[tuple[dict[int, Encoded], Sequence[int], Future[torch.Tensor]]]()

        def ended() -> dict[int, Encoded]:
            bad, good, codes = running.popleft()
            return bad | dict(zip(good, codes.result().numpy().astype(np.uint16), strict=True))

        bad: dict[int, Encoded] = {}
        pending: dict[int, np.ndarray] = {}
        number = 0
        decoded = self._images.decoded(chunk.read(places), self._job.shape.threads)
        with ThreadPoolExecutor(devices) as pool:
            for place, rgb in zip(places, decoded, strict=True):
                if isinstance(rgb, BadImage):
                    bad[place] = rgb
                    logger.info("image %s: %s (%s)", chunk.ids[place], rgb, rgb.__cause__)
                else:
                    pending[place] = rgb
                if len(pending) == batch_size or (pending and place == places[-1]):
                    levels = torch.from_numpy(np.stack(list(pending.values())))
                    encoding = pool.submit(self._encoders[number % devices].encode, levels)
                    running.append((bad, list(pending), encoding))
                    bad, pending, number = {}, {}, number + 1
                if len(running) > devices:
                    yield ended()
            while running:
                yield ended()
        if bad:
            yield bad


def _kept(pieces: Sequence[Path], chunk: Chunk) -> dict[int, Encoded]:
    """What an earlier attempt left whole of a chunk, by place."""
    place_of = {key: place for place, key in enumerate(zip(chunk.splits, chunk.ids, strict=True))}
    known: dict[int, Encoded] = {}
    for folder in filter(is_whole, pieces):
        for row in pq.read_table(folder / CODES_FILE).to_pylist():
            codes = row["image_codes"]
            became = BadImage(row["reason"], row["detail"]) if codes is None else np.array(codes, np.uint16)
            if (place := place_of.get((row["split"], row["image_id"]))) is not None:
                known[place] = became
    return known


def _table(chunk: Chunk, became: dict[int, Encoded]) -> pa.Table:
    """What images of a chunk became, schema ENCODED, by place."""
    rows: list[Row] = []
    for place, one in sorted(became.items()):
        row: Row = {"image_id": chunk.ids[place], "split": chunk.splits[place]}
        what = {"reason": one.reason, "detail": one.detail} if isinstance(one, BadImage) else {"image_codes": one}
        rows.append(row | what)
    return pa.Table.from_pylist(rows, schema=ENCODED)

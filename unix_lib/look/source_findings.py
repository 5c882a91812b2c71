"""What a sample of a source says of it: can its rows be read, and do its images come through?"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np

from unix_lib.artefacts.errors import UserError
from unix_lib.images.files import BadImage
from unix_lib.look.findings import Finding, by_reason, level_of
from unix_lib.look.rehearsal import Rehearsal, SampledSource
from unix_lib.look.samples import texts_of
from unix_lib.records.codes import OUT_OF_RANGE, WRONG_COUNT
from unix_lib.records.schema import Row
from unix_lib.records.shards import SPLITS, count_rows, iterate_rows
from unix_lib.sources.in_place.images import GIVEN
from unix_lib.sources.in_place.reading import Images
from unix_lib.sources.rows import NO_TABLE, UNREADABLE_FILE
from unix_lib.tokenizers.image import ImageTokenizer, quality

DECODED = 8  # images of a source that go through the image tokenizer
POOR_PSNR = 15.0  # dB. ASSUME: below it a picture can't be recognized
# What other code puts into texts where an image or its tokens are meant.
MARKS = re.compile(r"<image>|</?img>|\[IMG\]|<image_placeholder>|<\|(?:vision|image)_\w+\|>", re.IGNORECASE)
WHOLE_FILE = (UNREADABLE_FILE, NO_TABLE)


def of_source(rehearsal: Rehearsal, name: str) -> Iterator[Finding]:
    """Rows and images of a source."""
    where, source = f"sources.{name}", rehearsal.source(name)
    for error in source.errors:
        yield Finding("wrong", where, error.removeprefix(f"{where}: "))
    records = list(_records(rehearsal, source))
    if not records:
        if not source.errors:
            yield Finding("wrong", where, "no usable sample", "see what its files hold")
        return
    kinds = Counter(row["kind"] for row in records)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield Finding("ok", where, f"{len(records)} records can be read: {told}")
    rejected = rehearsal.rejected(source.records)
    known = {row["sample_id"] for row in rejected}  # what is wrong with an image is told of its record too
    unread = [row for row in rehearsal.rejected(source.images) if row["reason"] in WHOLE_FILE]
    rejected += [row for row in unread if row["sample_id"] not in known]
    if rejected:
        seen = len(rejected) + len(records)
        level = "wrong" if any(row["reason"] in WHOLE_FILE for row in rejected) else level_of(len(rejected), seen)
        what = f"{len(rejected)} of {seen} samples would be set aside: {by_reason(rejected)}"
        yield Finding(level, where, what, "mend them, or leave them out")
    yield from of_marks(where, records)
    if source.codes:
        yield from _images(rehearsal, source)


def _records(rehearsal: Rehearsal, source: SampledSource) -> Iterator[Row]:
    for artefact in source.records:
        for split in SPLITS:
            yield from iterate_rows(rehearsal.results / artefact, split)


def of_marks(where: str, records: list[Row]) -> Iterator[Finding]:
    """Texts that name an image where one is meant: they would be learned as they stand."""
    found = [(row["sample_id"], mark) for row in records for mark in MARKS.findall("\n".join(texts_of(row)))]
    marked = {sample_id for sample_id, _ in found}
    if found:
        first, mark = found[0]
        what = f"{len(marked)} of {len(records)} texts hold '{mark}', a mark for an image, first {first}"
        level = level_of(len(marked), len(records))
        yield Finding(level, where, what, "take it out, or it is learned as text")


def _images(rehearsal: Rehearsal, source: SampledSource) -> Iterator[Finding]:
    where, tokenizer = f"sources.{source.name}", rehearsal.experiment.tokenizers.image
    assert tokenizer is not None
    rejected, shape = rehearsal.rejected(source.codes), tokenizer.shape
    there = sum(rehearsal.manifest(artefact).facts["images"] for artefact in source.codes)
    given = [rehearsal.results / artefact / GIVEN for artefact in source.images]
    encoded = sum(count_rows(folder, split) for folder in given if folder.is_dir() for split in SPLITS) - sum(
        row["reason"] in (WRONG_COUNT, OUT_OF_RANGE) for row in rejected
    )
    if rejected:
        what = f"{len(rejected)} of {len(rejected) + there} images would be set aside: {by_reason(rejected)}"
        level = level_of(len(rejected), len(rejected) + there)
        yield Finding(level, where, what, "mend them, or correct the tokenizer's shape")
    if prepared := there - encoded:
        yield Finding("ok", where, f"{prepared} images come to {shape.image_size} x {shape.image_size} pixels")
    if encoded:
        what = f"{encoded} images came as {shape.codes_per_image} codes below {shape.codebook_size}"
        yield Finding("ok", where, what)
    if rehearsal.image_tokenizer is not None:
        yield from _round_trip(rehearsal, source, rehearsal.image_tokenizer)


def _round_trip(rehearsal: Rehearsal, source: SampledSource, tokenizer: ImageTokenizer) -> Iterator[Finding]:
    """How well images survive the image tokenizer."""
    pixels = list(islice(_decoded(rehearsal, source), DECODED))
    if pixels:
        where = f"sources.{source.name}"
        try:
            facts = quality(tokenizer, np.stack(pixels))
        except UserError as error:  # it has no decoder
            yield Finding("open", where, str(error))
            return
        yield of_fidelity(where, len(pixels), facts["heldout_psnr_db"])


def of_fidelity(where: str, images: int, psnr_db: float) -> Finding:
    """Whether images can be recognized in what comes back of their codes."""
    poor = psnr_db < POOR_PSNR
    what = f"{images} images come back from their codes with {psnr_db:.1f} dB"
    return Finding("look" if poor else "ok", where, what, "see `unix-lib inspect`" if poor else "")


def _decoded(rehearsal: Rehearsal, source: SampledSource) -> Iterator[np.ndarray]:
    """uint8 (3, S, S) of a source's images."""
    assert rehearsal.experiment.tokenizers.image is not None
    for artefact in source.images:
        images = Images(rehearsal.results / artefact, rehearsal.experiment.tokenizers.image.shape.image_size)
        for chunk in images.chunks(DECODED):
            yield from (rgb for rgb in images.decoded(chunk.read_all()) if not isinstance(rgb, BadImage))

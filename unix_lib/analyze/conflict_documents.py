"""Samples documents for the conflict analysis: equally many of text alone and of text with an image.

The analysis asks what training feels, so documents come from the packs that the runs train on; the held-out ones would
be too few for a small text source. Of all epochs each record comes once: those after the first bring what a source with
a weight below 1 has left over. As in the paper, the two sides are text data and multimodal data: an image document
carries its caption's and markers' tokens along.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from unix_lib.analyze.errors import AnalysisError
from unix_lib.models.routing import Documents, VocabularyLike, is_vision
from unix_lib.pack.reader import Document, PackReader

MODALITIES = ("text", "image")
CANDIDATES = 4  # documents looked at for each one wanted: a sample across packs, without reading all of them


@dataclass(frozen=True)
class Chunks:
    """Chunks of each modality, all with the same number of documents."""

    text: list[list[Documents]]
    image: list[list[Documents]]
    documents: int  # per modality, as used


def packed_documents(reader: PackReader, seed: int, *, every_epoch: bool) -> Iterator[list[Document]]:
    """A pack's documents at a time, packs in a random order, epoch after epoch.

    Args:
        every_epoch: of all epochs, each record once; else of the first, a record as often as that has it.
    """
    rng, seen, first = np.random.default_rng(seed), set[int](), 0
    epochs = reader.packs_per_epoch if every_epoch else reader.packs_per_epoch[:1]
    for packs in epochs:
        for index in (first + rng.permutation(packs)).tolist():
            taken = []
            for record, document in zip(reader.records(index), reader.documents(index), strict=True):
                if record not in seen:
                    taken.append(document)
                if every_epoch:
                    seen.add(record)
            yield taken
        first += packs


def document_rounds(
    packs: Iterable[list[Document]], vocabulary: VocabularyLike, documents: int, chunks: int, most: int
) -> Iterator[Chunks]:
    """Equally many documents of both modalities at a time, each dealt into chunks, until one runs out.

    Args:
        packs: the documents of packs in a random order.
        documents: documents per modality of a round, a multiple of `chunks`.
        most: documents per modality of all rounds.
    """
    waiting: dict[str, list[Documents]] = {modality: [] for modality in MODALITIES}
    seen = dict.fromkeys(MODALITIES, 0)
    for pack in packs:
        for modality, document in _measurable(pack, vocabulary):
            if seen[modality] < most:  # what can't be used need not wait
                waiting[modality].append(document)
                seen[modality] += 1
        while min(map(len, waiting.values())) >= documents:
            dealt = [[waiting[modality][chunk:documents:chunks] for chunk in range(chunks)] for modality in MODALITIES]
            yield Chunks(dealt[0], dealt[1], documents)
            for modality in MODALITIES:
                del waiting[modality][:documents]
        if min(seen.values()) >= most:
            return


def sample_chunks(
    packs: Iterable[list[Document]], vocabulary: VocabularyLike, documents: int, chunks: int, seed: int
) -> Chunks:
    """Choose documents and deal them into chunks.

    Args:
        packs: the documents of packs in a random order; read until enough documents of both modalities were seen.
        documents: documents per modality; where one modality has fewer, both get that many.
        chunks: chunks per modality, a multiple of 4 so that halves split into two equal mixed parts.

    Raises:
        AnalysisError: `chunks` is not a multiple of 4, or a modality has fewer documents than chunks.
    """
    if chunks % 4:
        raise AnalysisError(
            f"analyze.conflict.chunks is {chunks}; take a multiple of 4: each comparison needs halves of both "
            "modalities, and those in two equal parts"
        )
    found: dict[str, list[Documents]] = {modality: [] for modality in MODALITIES}
    for pack in packs:
        for modality, document in _measurable(pack, vocabulary):
            found[modality].append(document)
        if min(map(len, found.values())) >= CANDIDATES * documents:
            break
    scarce = min(found, key=lambda modality: len(found[modality]))
    per_chunk = min(documents, len(found[scarce])) // chunks
    if per_chunk == 0:
        raise AnalysisError(
            f"the mixture has {len(found[scarce])} {scarce} documents for {chunks} chunks; give "
            "analyze.conflict.mixture a mixture with both modalities, or raise analyze.conflict.documents to at "
            "least the number of chunks"
        )
    dealt = []
    for position, modality in enumerate(MODALITIES):
        rng = np.random.default_rng([seed, position])
        order = rng.permutation(len(found[modality]))[: per_chunk * chunks]
        dealt.append([[found[modality][index] for index in order[chunk::chunks]] for chunk in range(chunks)])
    return Chunks(dealt[0], dealt[1], per_chunk * chunks)


def _measurable(pack: list[Document], vocabulary: VocabularyLike) -> Iterator[tuple[str, Documents]]:
    """A pack's documents that have a target, each with its modality."""
    for document in pack:
        if document.loss_mask[1:].any():  # the first token is never a target
            length = np.array([len(document.input_ids)], dtype=np.int32)
            found = Documents(document.input_ids, document.loss_mask, length)
            yield "image" if is_vision(document.input_ids, vocabulary).any() else "text", found

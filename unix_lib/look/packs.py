"""Packs as they are trained on: documents and their tokens, what carries loss, and the images of their codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from unix_lib.look.shown import Bar, Item, Picture, Piece, Shown, Span, in_words
from unix_lib.look.statistics import spread
from unix_lib.pack.reader import Document, PackReader
from unix_lib.tokenizers.coded_images import decode_images
from unix_lib.tokenizers.image import ImageTokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Meanings:
    """What ids stand for."""

    text: "PreTrainedTokenizerFast"
    vocabulary: Vocabulary
    images: ImageTokenizer | None  # decodes codes; without one they are shown as their number


def shown_packs(title: str, reader: PackReader, count: int, meanings: Meanings) -> Shown:
    """Some packs, evenly spread over all epochs: of each a bar, and one of its documents."""
    chosen, items, forms = spread(len(reader), count), [], set()
    for number in chosen:
        documents = list(reader.documents(number))
        bar = Bar([_piece(document, meanings.vocabulary) for document in documents], reader.pack_length)
        items.append(Item(f"pack {number}", _facts(bar, documents), bar=bar))
        new = [document for document in documents if document.form not in forms]
        one = new[0] if new else documents[number % len(documents)]
        forms.add(one.form)
        items.append(
            Item(
                f"one document of it: {in_words(one.form.name)}",
                pictures=list(_pictures(one, meanings)),
                spans=list(spans_of(one, meanings)),
            )
        )
    epochs = len(reader.packs_per_epoch)
    lead = f"{len(chosen)} of {len(reader)} packs of {epochs} epochs, of each one document token by token"
    return Shown(title, lead, items)


def spans_of(document: Document, meanings: Meanings) -> Iterator[Span]:
    """A document cut where training begins or ends, and around images."""
    vocabulary, ids = meanings.vocabulary, document.input_ids
    codes = vocabulary.is_image(ids)
    if vocabulary.separator_id is not None:
        codes |= ids == vocabulary.separator_id
    alike = zip(document.loss_mask.tolist(), codes.tolist(), strict=True)
    start = 0
    for (trained, image), run in groupby(alike):
        length = len(list(run))
        own = ids[start : start + length]
        told = str(meanings.text.decode(own.tolist(), skip_special_tokens=False))
        yield Span(f"[{length} tokens of an image]" if image else told, length, trained, image)
        start += length


def _piece(document: Document, vocabulary: Vocabulary) -> Piece:
    images = int(vocabulary.is_vision(document.input_ids).sum())
    return Piece(in_words(document.form.name), len(document.input_ids) - images, images)


def _facts(bar: Bar, documents: list[Document]) -> dict[str, str]:
    trained = sum(int(document.loss_mask.sum()) for document in documents)
    return {
        "documents": f"{len(documents)}",
        "text tokens": f"{sum(piece.text_tokens for piece in bar.pieces):,}",
        "image tokens": f"{sum(piece.image_tokens for piece in bar.pieces):,}",
        "trained": f"{trained:,}",
        "fill": f"{bar.fill:.1%} of {bar.length:,}",
    }


def _pictures(document: Document, meanings: Meanings) -> Iterator[Picture]:
    vocabulary, ids = meanings.vocabulary, document.input_ids
    codes = (ids[vocabulary.is_image(ids)] - vocabulary.image_offset).reshape(-1, vocabulary.codes_per_image)
    if meanings.images is not None and len(codes):
        for number, rgb in enumerate(decode_images(meanings.images, codes), start=1):
            yield Picture(rgb, f"image {number}, from its codes")

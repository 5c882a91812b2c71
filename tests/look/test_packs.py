"""What is shown of packs is what is trained on."""

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from tests.pack.conftest import experiment, tokenizer, vocabulary
from tests.pack.experiment import IMAGE_CODES, Experiment
from unix_lib.look.packs import Meanings, shown_packs, spans_of
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.vocabulary import Vocabulary

__all__ = ["experiment", "tokenizer", "vocabulary"]


@pytest.fixture(scope="module")
def reader(experiment: Experiment) -> PackReader:
    _, folder = experiment.pack({"scenes": experiment.scenes, "prose": experiment.prose})
    return PackReader(folder)


@pytest.fixture(scope="module")
def meanings(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> Meanings:
    return Meanings(tokenizer, vocabulary, None)


def test_documents_are_the_pack(reader: PackReader) -> None:
    for index in (0, len(reader) // 2, len(reader) - 1):
        pack, documents = reader[index], list(reader.documents(index))
        assert np.array_equal(np.concatenate([each.input_ids for each in documents]), pack.input_ids)
        assert np.array_equal(np.concatenate([each.loss_mask for each in documents]), pack.loss_mask)
        assert [len(each.input_ids) for each in documents] == pack.document_lengths.tolist()
    with pytest.raises(IndexError):
        next(reader.documents(len(reader)))


def test_spans_say_which_tokens_are_trained_and_which_are_an_image(reader: PackReader, meanings: Meanings) -> None:
    seen = set()
    for index in range(len(reader)):
        for document in reader.documents(index):
            spans = list(spans_of(document, meanings))
            assert np.array_equal(np.repeat([s.trained for s in spans], [s.tokens for s in spans]), document.loss_mask)
            images = np.repeat([s.image for s in spans], [s.tokens for s in spans])
            assert np.array_equal(images, meanings.vocabulary.is_image(document.input_ids))
            assert all(span.text == f"[{IMAGE_CODES} tokens of an image]" for span in spans if span.image)
            text = "".join(span.text for span in spans if not span.image)
            assert meanings.text.decode(document.input_ids[~images].tolist()) == text
            seen.add(document.form)
    assert len(seen) >= 5


def test_bars_hold_all_tokens_of_a_pack(reader: PackReader, meanings: Meanings) -> None:
    shown = shown_packs("pack/mixed", reader, 3, meanings)
    bars = [item.bar for item in shown.items if item.bar is not None]
    assert len(bars) == 3 and sum(bool(item.spans) for item in shown.items) == 3
    for bar, index in zip(bars, (0, round((len(reader) - 1) / 2), len(reader) - 1), strict=True):
        pack = reader[index]
        assert [piece.tokens for piece in bar.pieces] == pack.document_lengths.tolist()
        vision = meanings.vocabulary.is_vision(pack.input_ids).sum()
        assert sum(piece.image_tokens for piece in bar.pieces) == vision
        assert bar.fill == len(pack.input_ids) / reader.pack_length
    assert len(shown_packs("pack/mixed", reader, 10**6, meanings).items) == 2 * len(reader)

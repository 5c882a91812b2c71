"""Tokens of one answer to pieces of text and images, whatever lies between two of them."""

import pytest

from tests.serve.fake import SIDE, VOCABULARY, FakeAssistant
from unix_lib.serve.messages import ChatOrder, ImageOrder, Order, Picture, Text
from unix_lib.serve.reading import Reading

ASSISTANT = FakeAssistant()
IMAGE = [VOCABULARY.image_offset + code for code in range(SIDE * SIDE)]


def chat(*stop: str) -> ChatOrder:
    return ChatOrder(0, (), 0, {}, None, stop)


def ids(text: str) -> list[int]:
    return list(ASSISTANT.tokenizer.backend_tokenizer.encode(text).ids)


def read(order: Order, tokens: list[int], size: int) -> tuple[list[Text | Picture], Reading]:
    """Tokens read `size` at a time."""
    reading = Reading(ASSISTANT, order)  # type: ignore[arg-type]
    cuts = range(0, len(tokens), size)
    return [piece for cut in cuts for piece in reading.feed(tokens[cut : cut + size], last=cut == cuts[-1])], reading


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_texts_and_images_come_in_the_order_in_which_they_were_made(size: int) -> None:
    opened, closed = [VOCABULARY.vision_start_id], [VOCABULARY.vision_end_id]
    tokens = [*ids("é "), *opened, *IMAGE, *closed, *ids("と"), *opened, *IMAGE, *closed, VOCABULARY.eos_id]
    pieces, reading = read(chat(), tokens, size)
    shown = ["image" if isinstance(piece, Picture) else piece.text for piece in pieces]
    assert "".join(shown) == "é imageとimage" and reading.tokens == len(tokens)


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize(
    ("text", "stop", "rest"),
    [
        ("abcabd!", ["abd"], "abc"),
        ("aaab", ["aab"], "a"),
        ("ab", ["abc"], "ab"),
        ("x\n\ny", ["\n\n", "\n"], "x"),
        ("héé", ["éé"], "h"),
    ],
)
def test_a_stop_is_found_wherever_tokens_cut_it(text: str, stop: list[str], rest: str, size: int) -> None:
    pieces, reading = read(chat(*stop), ids(text), size)
    assert "".join(piece.text for piece in pieces if isinstance(piece, Text)) == rest
    assert reading.stopped == (rest != text)


def test_half_a_character_at_the_end_is_shown_as_one_that_is_not_known() -> None:
    pieces, _ = read(chat(), ids("aé")[:-1], 1)
    assert [piece.text for piece in pieces if isinstance(piece, Text)] == ["a", "\ufffd"]


def test_an_image_cut_short_is_not_shown() -> None:
    assert read(ImageOrder(0, "", 0, {}, 0, "PNG"), IMAGE[:-1], 7)[0] == []


def test_a_character_that_is_never_finished_holds_nothing_back_for_long() -> None:
    first = ids("é")[:1]  # of two bytes
    pieces, _ = read(chat(), first * 60, 1)
    assert len(pieces) > 2 and "".join(piece.text for piece in pieces if isinstance(piece, Text)) == "\ufffd" * 60

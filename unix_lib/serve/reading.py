"""One answer's tokens as they are made, turned into what a client reads: pieces of text, images, parts of images."""

import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from unix_lib.serve.messages import ChatOrder, Order, Picture, Text

if TYPE_CHECKING:
    from unix_lib.chat.assistant import Assistant

HALF = "\ufffd"  # what a tokenizer makes of a character whose last bytes are still to come
MOST_HELD = 16  # tokens that wait for the rest of a character: a model may never finish one


class Reading:
    """Reads one answer."""

    def __init__(self, assistant: "Assistant", order: Order) -> None:
        self.assistant, self.vocabulary, self.key = assistant, assistant.vocabulary, order.key
        self.begun, self.tokens = False, 0
        self.stopped = False  # a stop string was found: nothing that follows is part of the answer
        self._codes: list[int] | None = None
        self._shown: dict[int, int] = {}  # partial images, by how many codes they have
        if isinstance(order, ChatOrder):
            self._text, self._format = _Text(assistant, order.stop), "PNG"
        else:
            self._text, self._format, self._codes = _Text(assistant, ()), order.format, []
            rows = math.isqrt(self.vocabulary.codes_per_image)
            places = (round(rows * (part + 1) / (order.partials + 1)) for part in range(order.partials))
            self._shown = {place * rows: part for part, place in enumerate(places) if 0 < place < rows}

    def feed(self, tokens: Sequence[int], *, last: bool) -> Iterator[Text | Picture]:
        """What more there is to show; `last` gives up what was held back."""
        for token in tokens:
            self.tokens += 1
            if self.stopped:
                continue
            if self._codes is not None:
                yield from self._draw(token)
            elif token == self.vocabulary.vision_start_id:
                yield from self._say(self._text.rest())
                self._codes = []
            else:
                yield from self._say(self._text.more(token))
                self.stopped = self._text.stopped
        if last and not self.stopped:
            yield from self._say(self._text.rest())

    def _say(self, text: str) -> Iterator[Text]:
        if text:
            yield Text(self.key, text)

    def _draw(self, token: int) -> Iterator[Picture]:
        code = token - self.vocabulary.image_offset
        if self._codes is None or not 0 <= code < self.vocabulary.codebook_size:  # a separator
            return
        self._codes.append(code)
        whole = len(self._codes) == self.vocabulary.codes_per_image
        if whole or len(self._codes) in self._shown:
            partial = None if whole else self._shown[len(self._codes)]
            yield Picture(self.key, self._file(self._codes), partial)
        if whole:
            self._codes = None

    def _file(self, codes: list[int]) -> bytes:
        buffer = io.BytesIO()
        lossless = {"quality": 95} if self._format == "JPEG" else {"lossless": True} if self._format == "WEBP" else {}
        Image.fromarray(self.assistant.pixels(codes)).save(buffer, self._format, **lossless)
        return buffer.getvalue()


class _Text:
    """Ids to text, whole characters at a time, up to the first stop string."""

    def __init__(self, assistant: "Assistant", stop: tuple[str, ...]) -> None:
        self.tokenizer, self.stop = assistant.tokenizer, stop
        self.stopped = False
        self._ids: list[int] = []
        self._told, self._read = 0, 0  # ids before these are told; text is compared from the first on
        self._held = ""  # may begin a stop string

    def more(self, token: int) -> str:
        self._ids.append(token)
        return self._up_to_stop(self._decoded(), end=False)

    def rest(self) -> str:
        """What was held back; what follows is decoded by itself."""
        text = self._up_to_stop(self._decoded(halves=True), end=True)
        self._ids, self._told, self._read = [], 0, 0
        return text

    def _decoded(self, *, halves: bool = False) -> str:
        # Decoded together with the ids before, since a tokenizer may treat a text's beginning in a way of its own.
        before = self._characters(self._ids[self._told : self._read])
        now = self._characters(self._ids[self._told :])
        halves = halves or len(self._ids) - self._read > MOST_HELD
        if len(now) <= len(before) or (now.endswith(HALF) and not halves):
            return ""
        self._told, self._read = self._read, len(self._ids)
        return now[len(before) :]

    def _characters(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def _up_to_stop(self, text: str, *, end: bool) -> str:
        text = self._held + text
        found = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = 0 if end else max((_overlap(text, stop) for stop in self.stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Characters at a text's end that a stop string begins with."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)

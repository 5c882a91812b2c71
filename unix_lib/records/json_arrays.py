"""Reads a file that is one JSON array, item by item, however large: only the item under way is in memory."""

import codecs
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from unix_lib.records.lines import BadLine, keys_once, opened

BLOCK = 1 << 16  # characters
LONGEST_ITEM = 1 << 26
WHITE = " \t\r\n"

_decoder = json.JSONDecoder(object_pairs_hook=keys_once)


def array_items(path: Path) -> Iterator[Any]:
    """The items of the array, in order.

    Raises:
        BadLine: behind the items before it, something that is no JSON, or the end of the file.
        OSError: the file can't be read.
    """
    with opened(path) as file:
        text = _Text(cast(io.BufferedIOBase, file))
        text.expect("[")
        if text.next_is("]"):
            return
        while True:
            yield text.value()
            if text.next_is("]"):
                return
            text.expect(",")


class _Text:
    """What of a file is read, and where reading goes on."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file, self._buffer, self._place = file, "", 0
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")

    def _more(self) -> bool:
        """Read as much again as there is unread, so that time grows with length alone; whether there was any."""
        data = self._file.read1(max(BLOCK, len(self._buffer) - self._place))  # gives what comes before a break
        self._buffer = self._buffer[self._place :] + self._decode.decode(data, final=not data)
        self._place = 0
        return bool(data)

    def next_is(self, character: str) -> bool:
        """Skip white space, and the character where it comes next."""
        while True:
            while self._place < len(self._buffer) and self._buffer[self._place] in WHITE:
                self._place += 1
            if self._place < len(self._buffer):
                found = self._buffer[self._place] == character
                self._place += found
                return found
            if not self._more():
                return False

    def expect(self, character: str) -> None:
        if not self.next_is(character):
            raise BadLine(f"no '{character}' where one belongs")

    def value(self) -> Any:
        self.next_is("")
        while True:
            try:
                value, end = _decoder.raw_decode(self._buffer, self._place)
            except (ValueError, RecursionError) as error:
                if len(self._buffer) - self._place > LONGEST_ITEM or not self._more():
                    raise BadLine("not JSON") from error
                continue
            # A number that the buffer ends in may go on.
            if end < len(self._buffer) or not self._more():
                self._place = end
                return value

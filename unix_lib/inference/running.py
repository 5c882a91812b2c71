"""What becomes of a request, token by token: which come next to be fed, and when it is done."""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from unix_lib.inference.requests import Ending, Request
from unix_lib.models.configuration import UnixConfig


@dataclass
class Running:
    """A request with rows of the caches."""

    ticket: int
    request: Request
    config: UnixConfig
    rows: list[int]  # its own, and that of the unconditional branch where there is guidance
    width: int  # columns that it can need
    random: np.random.Generator
    length: int  # tokens in its row, and those that are to be fed
    drawing: bool  # whether the next token is an image code
    images: int  # begun
    codes: int = 0  # of the image being drawn
    written: int = 0  # text tokens sampled
    fed: deque[int] = field(default_factory=deque)  # to be fed, one a step, before the next is sampled
    new: list[int] = field(default_factory=list)  # of this step
    finished: Ending | None = None

    @property
    def guided(self) -> bool:
        """Whether an unconditional branch runs beside it."""
        return len(self.rows) == 2

    @cached_property
    def _image_settings(self) -> object:
        assert self.request.image is not None
        return self.request.image.model_dump_json()

    @property
    def settings(self) -> object:
        """What must be alike for requests to be sampled together."""
        if self.drawing:
            return self._image_settings
        assert self.request.text is not None
        text = self.request.text
        return text.temperature, text.top_k, text.top_p, tuple(self.not_text)

    @property
    def not_text(self) -> list[int]:
        """Text ids that may not come next: separators, a marker of an image where none may begin, an end too early."""
        assert self.request.text is not None
        opens = [] if self._may_open else [self.config.vision_start_id]
        separators = [] if self.config.separator_id is None else [self.config.separator_id]
        return opens + separators + [*self.request.stop_ids] * (self.written < self.request.text.least_tokens)

    @property
    def _may_open(self) -> bool:
        return self.request.image is not None and self.images < self.request.images

    def take(self, sampled: int) -> bool:
        """Go on with a sampled token, a place in a head's rows; whether it opened an image."""
        if self.drawing:
            self._take_code(sampled + self.config.image_offset)
            return False
        return self._take_text(sampled)

    def _take_code(self, token: int) -> None:
        self.codes += 1
        self._append(token)
        whole = self.codes == self.config.codes_per_image
        if whole and self.request.text is None:
            self.finished = "stop"
            return
        if self.config.separator_every and self.codes % self.config.separator_every == 0:  # its place is known
            self._append(self.config.separator_id or 0)
        if whole:
            self.drawing, self.codes = False, 0
            self._append(self.config.vision_end_id)
            self._end_if_full()

    def _take_text(self, token: int) -> bool:
        if token in self.request.stop_ids:
            self.finished = "stop"
            return False
        self.written += 1
        self._append(token)
        if token == self.config.vision_start_id:
            self.drawing, self.images = True, self.images + 1
            return True
        self._end_if_full()
        return False

    def _end_if_full(self) -> None:
        assert self.request.text is not None
        if self.written >= self.request.text.most_tokens:
            self.finished = "length"

    def _append(self, token: int) -> None:
        self.new.append(token)
        self.fed.append(token)
        self.length += 1

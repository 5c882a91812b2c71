"""Asks a model behind an HTTP address, with patience where it is busy."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from unix_lib.endpoints.client import Endpoint
from unix_lib.endpoints.errors import EndpointError, Refused
from unix_lib.judges.endpoint import EndpointJudge
from unix_lib.judges.judge import Colored, Detection, Images, JudgeError, NoVerdict
from unix_lib.judges.messages import base64_png, objects_from, reply_in, request_of, unreadable
from unix_lib.records.lines import fault_of

Answer = TypeVar("Answer")
OF_ONE_IMAGE = (400, 413, 415, 422)  # statuses of refusals that another image may not meet


class EndpointRunner:
    """A model behind an address."""

    def __init__(self, settings: EndpointJudge, image_size: int) -> None:
        """Nothing is asked yet.

        Raises:
            JudgeError: the environment has no key where one is named.
        """
        self.settings = settings
        self.at_once = settings.at_once
        self.name = f"judge endpoint {settings.url}"
        try:
            self._endpoint = Endpoint(self.name, settings.url, settings)
        except EndpointError as error:
            raise JudgeError(f"{self.name}: {error}") from None

    def objects(self, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
        """See `ObjectFinder`.

        Raises:
            NoVerdict: the endpoint refuses an image, or answers something else.
            JudgeError: it can't be reached, or refuses altogether.
        """
        return self._each(lambda image: objects_from(self._post(request_of(image)), self.name), images)

    def answer(self, images: Images, questions: Sequence[str]) -> list[str]:
        """See `QuestionAnswerer`; each is one chat completion without sampling. Raises what `objects` does."""

        def ask(image: np.ndarray, question: str) -> str:
            url = f"data:image/png;base64,{base64_png(image)}"
            return self._completion(
                [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
            )

        return self._each(ask, images, questions)

    def _each(self, ask: Callable[..., Answer], *of: Iterable[Any]) -> list[Answer]:
        """What each call gives, some at a time; the first fault where there are several."""
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            return list(pool.map(ask, *of))

    def reply(self, questions: Sequence[str]) -> list[str]:
        """See `WordsReader`; each is one chat completion without sampling. Raises what `objects` does."""
        return self._each(self._completion, questions)

    def _completion(self, content: str | Sequence[object]) -> str:
        messages = [{"role": "user", "content": content}]
        reply = self._post({"model": self.settings.model, "temperature": 0, "messages": messages})
        try:
            words = reply["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            words = None
        if not isinstance(words, str) or fault_of(words) is not None:
            raise unreadable(self.name, reply, "a chat completion")
        return words

    def _post(self, body: dict[str, Any]) -> Any:
        try:
            return self._endpoint.post(body, lambda reply: reply_in(reply, self.name, "JSON"))
        except Refused as error:
            if error.status in OF_ONE_IMAGE:
                raise NoVerdict("refused by the judge", f"{self.name}: {error}") from None
            raise JudgeError(f"{self.name}: {error}; correct the judge") from None
        except EndpointError as error:
            raise JudgeError(f"{self.name}: {error}; run again when it is there") from None

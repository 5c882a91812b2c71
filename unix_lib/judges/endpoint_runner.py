"""Asks a model behind an HTTP address, with patience where it is busy."""

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import requests

from unix_lib.judges.endpoint import EndpointJudge
from unix_lib.judges.judge import Detection, JudgeError
from unix_lib.judges.messages import base64_png, objects_from, reply_in, request_of, unreadable
from unix_lib.records.lines import fault_of

log = logging.getLogger(__name__)
FIRST_WAIT = 1.0  # seconds; doubled from attempt to attempt
LONGEST_WAIT = 60.0
LONGEST_COMPLAINT = 200  # characters of an error's body in a message


class EndpointRunner:
    """A model behind an address."""

    def __init__(self, settings: EndpointJudge, image_size: int) -> None:
        """Nothing is asked yet.

        Raises:
            JudgeError: the environment has no key where one is named.
        """
        self.settings = settings
        self.name = f"judge endpoint {settings.url}"
        self._session = requests.Session()
        if settings.key_variable is not None:
            if not os.environ.get(settings.key_variable):
                raise JudgeError(f"{self.name}: set the environment variable {settings.key_variable} to its key")
            self._session.headers["Authorization"] = f"Bearer {os.environ[settings.key_variable]}"

    def objects(self, images: np.ndarray) -> list[list[Detection]]:
        """See `ObjectFinder`.

        Raises:
            JudgeError: the endpoint can't be reached, refuses, or answers something else.
        """
        return [objects_from(self._post(request_of(image)), self.name) for image in images]

    def answer(self, images: np.ndarray, questions: Sequence[str]) -> list[str]:
        """See `QuestionAnswerer`; each is one chat completion without sampling. Raises what `objects` does."""
        answers = []
        for image, question in zip(images, questions, strict=True):
            url = f"data:image/png;base64,{base64_png(image)}"
            content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
            messages = [{"role": "user", "content": content}]
            reply = self._post({"model": self.settings.model, "temperature": 0, "messages": messages})
            try:
                words = reply["choices"][0]["message"]["content"]
            except (KeyError, IndexError, TypeError):
                words = None
            if not isinstance(words, str) or fault_of(words) is not None:
                raise unreadable(self.name, reply, "a chat completion")
            answers.append(words)
        return answers

    def _post(self, body: dict[str, Any]) -> Any:
        wait, fault = FIRST_WAIT, ""
        for attempt in range(self.settings.attempts):
            if attempt:
                log.info("%s: %s; asked again in %.1f s", self.name, fault, wait)
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            try:
                response = self._session.post(self.settings.url, json=body, timeout=self.settings.seconds)
            except requests.Timeout:
                fault = f"no answer within {self.settings.seconds:g} s"
                continue
            except requests.ConnectionError:
                fault = "can't be reached"
                continue
            if response.status_code == requests.codes.too_many_requests or response.status_code >= 500:
                fault = f"status {response.status_code}"
                wait = _asked_to_wait(response) or wait
                continue
            if not response.ok:
                said = response.text[:LONGEST_COMPLAINT]
                raise JudgeError(f"{self.name}: refused with status {response.status_code} ({said}); correct the judge")
            return reply_in(response.content, self.name, "JSON")
        raise JudgeError(f"{self.name}: {fault}, {self.settings.attempts} times; run again when it is there")


def _asked_to_wait(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header, within reason; its other form, a date, is not read."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_WAIT) if asked.isdecimal() else None

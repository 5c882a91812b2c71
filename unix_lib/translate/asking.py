"""What a model is asked about a text, and whether its answer is a translation: no network, no files.

A text whose answer does not count is asked for again, and the model is told why. So the next request follows from the
text and the answers so far, and answers that are kept lead to the same translation each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unix_lib.artefacts.files import digest_of
from unix_lib.config.translate import LANGUAGE, Wording
from unix_lib.records.lines import fault_of
from unix_lib.translate.errors import Unfaithful
from unix_lib.translate.protected import Protected

COMPLETE = "stop"  # the finish reason of an answer that is whole
REFUSED = "refused"  # ours, of a request that a batch was not given an answer to
UNFINISHED = {"length": "cut off", "content_filter": "content filter", REFUSED: "refused by the endpoint"}
NO_TEXT, LENGTH = "no text", "length"
SLACK = 24  # ASSUME: bytes by which a name or a single word may be longer than its text, whatever the ratio


@dataclass(frozen=True)
class Answer:
    """What a model said, as it is kept."""

    text: str | None
    finish_reason: str | None


@dataclass(frozen=True)
class Request:
    """One chat completion."""

    model: str
    messages: list[dict[str, str]]
    parameters: dict[str, Any]

    @cached_property
    def key(self) -> str:
        """SHA-256 of model, messages and parameters, hexadecimal: two requests with one key are the same."""
        return digest_of({"model": self.model, "messages": self.messages, "parameters": self.parameters})

    @property
    def body(self) -> dict[str, Any]:
        """What is posted."""
        return {"model": self.model, "messages": self.messages, **self.parameters}


def settled(text: Protected, wording: Wording, answer_to: Callable[[Request], Answer | None]) -> str | Request:
    """A text's translation, or the request that must be answered before there is one.

    Raises:
        Unfaithful: none of its answers counts.
    """
    if not text.shown:
        return text.restored("")
    refusals: list[Unfaithful] = []
    while len(refusals) < wording.asks:
        request = request_of(text.shown, wording, refusals)
        answer = answer_to(request)
        if answer is None:
            return request
        try:
            return translation_in(answer, text, wording)
        except Unfaithful as refusal:
            refusals.append(refusal)
    raise refusals[-1]


def request_of(shown: str, wording: Wording, refusals: list[Unfaithful]) -> Request:
    """What a model is asked, after so many answers that did not count."""
    told = [wording.instructions.replace(LANGUAGE, wording.language)]
    told += [f"An earlier translation was refused ({each.reason}): {each.told}." for each in refusals]
    sampling = {"temperature": wording.temperature, "seed": wording.seed}
    return Request(
        wording.model,
        [{"role": "system", "content": "\n".join(told)}, {"role": "user", "content": shown}],
        {name: value for name, value in sampling.items() if value is not None} | wording.parameters,
    )


def translation_in(answer: Answer, text: Protected, wording: Wording) -> str:
    """The text as an answer translates it.

    Raises:
        Unfaithful: the answer does not count.
    """
    if answer.finish_reason in UNFINISHED:
        raise Unfaithful(UNFINISHED[answer.finish_reason], f"the answer ended with '{answer.finish_reason}'")
    if answer.finish_reason != COMPLETE or not answer.text or not answer.text.strip():
        raise Unfaithful(NO_TEXT, "the answer is empty, or not a text")
    if (fault := fault_of(answer.text)) is not None:
        raise Unfaithful(NO_TEXT, f"the answer {fault}")
    whole = text.restored(answer.text)
    given, found = len(text.shown.encode()), len(answer.text.strip().encode())
    if not given * wording.shortest <= found <= given * wording.longest + SLACK:
        raise Unfaithful(LENGTH, f"it has {found} bytes for {given} of the text")
    return whole

"""The JSON in which judges outside this process are asked, and in which they answer.

A request is `{"question": "objects", "image": <base64 PNG>}`, or a question in words in the place of "objects". The
reply to the first is `{"objects": [{"class": "circle", "color": "red", "box": [left, top, right, bottom],
"confidence": 0.9, "size": "large"}, ...]}`, where color and size may be left out; to the second `{"answer": "..."}`.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unix_lib.images.files import png_bytes
from unix_lib.judges.judge import Detection, NoVerdict
from unix_lib.records.lines import BadLine, fault_of, text_of, value_of

OBJECTS = "objects"
LONGEST_SHOWN = 120  # characters of a bad reply in a message


def request_of(image: np.ndarray, question: str = OBJECTS) -> dict[str, Any]:
    """What a judge is asked about an image, uint8 (height, width, 3)."""
    return {"question": question, "image": base64_png(image)}


def base64_png(image: np.ndarray) -> str:
    return base64.b64encode(png_bytes(image)).decode("ascii")


def reply_in(line: bytes, judge: str, expected: str) -> Any:
    """The JSON of a reply.

    Raises:
        NoVerdict: it is none.
    """
    try:
        return value_of(text_of(line))
    except BadLine:
        raise unreadable(judge, line.decode(errors="replace").strip(), expected) from None


def reply_of(objects: Sequence[Detection]) -> dict[str, Any]:
    """The reply that names some objects."""
    return {
        "objects": [
            {"class": one.name, "color": one.color, "box": one.box, "confidence": one.confidence, "size": one.size}
            for one in objects
        ]
    }


def objects_from(reply: Any, judge: str) -> list[Detection]:
    """The objects that a reply names.

    Raises:
        NoVerdict: it has another form.
    """
    try:
        return [_detection(values) for values in reply["objects"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise unreadable(judge, reply, '{"objects": [{"class", "color", "box", "confidence"}]}') from None


def answer_from(reply: Any, judge: str) -> str:
    """The words of a reply.

    Raises:
        NoVerdict: it has none.
    """
    answer = reply.get("answer") if isinstance(reply, dict) else None
    if not isinstance(answer, str) or fault_of(answer) is not None:
        raise unreadable(judge, reply, '{"answer": "..."}')
    return answer


def unreadable(judge: str, reply: Any, expected: str) -> NoVerdict:
    """The error for a reply of another form."""
    said = f"{judge}: answered {str(reply)[:LONGEST_SHOWN]!r}, expected {expected}; correct the judge"
    return NoVerdict("unreadable answer", said)


def _detection(values: dict[str, Any]) -> Detection:
    left, top, right, bottom = (float(edge) for edge in values["box"])
    confidence = float(values["confidence"])
    words = [values["class"], values.get("color", ""), values.get("size", "")]
    if not all(isinstance(word, str) and fault_of(word) is None for word in words) or not words[0]:
        raise TypeError("a word is no text")
    if not (left <= right and top <= bottom and math.isfinite(right - left + bottom - top) and 0 <= confidence <= 1):
        raise ValueError("not a box, or no confidence")
    name, color, size = words
    return Detection(name, color, (left, top, right, bottom), confidence, size)

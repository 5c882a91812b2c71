"""Batch files: requests that go out as files, and answers that come back as files, so that no job needs a network.

A request is a line with a `custom_id`, which is its key, in the form of OpenAI's batch API and of `vllm run-batch`; a
reply is a line with the same `custom_id`. Replies go where all answers are kept, and a job finds them there.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import write_text
from unix_lib.endpoints.client import Unreadable
from unix_lib.records.rejected import RejectedSamples
from unix_lib.translate.answers import Answers
from unix_lib.translate.asking import REFUSED, Answer, Request
from unix_lib.translate.files import read_items
from unix_lib.translate.translator import OF_THE_TEXT, answer_of

# Of one file, as OpenAI's batch API takes it.
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
PATH = "/v1/chat/completions"
KEY = re.compile(r"[0-9a-f]{64}")
UNREADABLE, FAILED, UNKNOWN = "unreadable reply", "failed request", "not one of our requests"


def write_batches(
    requests: Iterable[Request],
    folder: Path,
    name: str,
    most_requests: int = MOST_REQUESTS,
    most_bytes: int = MOST_BYTES,
) -> dict[Path, int]:
    """Write requests to `<name>-00000.jsonl` ..., each request once; returns the files with their requests."""
    files: dict[Path, int] = {}
    for number, lines in enumerate(_cut(_lines(requests), most_requests, most_bytes)):
        path = folder / f"{name}-{number:05d}.jsonl"
        write_text(path, "".join(lines))
        files[path] = len(lines)
    return files


def _lines(requests: Iterable[Request]) -> Iterator[str]:
    seen: set[str] = set()
    for request in requests:
        if request.key not in seen:
            seen.add(request.key)
            line = {"custom_id": request.key, "method": "POST", "url": PATH, "body": request.body}
            yield json.dumps(line, ensure_ascii=False) + "\n"


def _cut(lines: Iterable[str], most_requests: int, most_bytes: int) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for line in lines:
        if part and (len(part) == most_requests or size + len(line.encode()) > most_bytes):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line.encode())
    if part:
        yield part


def read_replies(path: Path, answers: Answers, rejected: RejectedSamples) -> int:
    """Keep the answers of a file of replies; returns how many. What is no answer is set aside, and asked for again.

    Raises:
        TranslateError: the file can't be read.
    """
    before = answers.added
    for item in read_items(path, ["custom_id"]):
        key, response, error = (item.values.get(name) for name in ("custom_id", "response", "error"))
        if item.fault is not None:
            rejected.add(item.sample_id, item.origin, UNREADABLE, item.fault)
        elif not isinstance(key, str) or not KEY.fullmatch(key):
            rejected.add(item.sample_id, item.origin, UNKNOWN, "its custom_id is not the key of a request")
        else:
            try:
                answers.add(key, _answer_in(response, error))
            except Unreadable as fault:
                rejected.add(item.sample_id, item.origin, FAILED, str(fault))
    return answers.added - before


def _answer_in(response: Any, error: Any) -> Answer:
    """What a reply says; one that refuses its text says that, since nobody would be asked again.

    Raises:
        Unreadable: no answer, this time.
    """
    response = response if isinstance(response, dict) else {}
    status = response.get("status_code")
    if status in OF_THE_TEXT:
        return Answer(None, REFUSED)
    if error is not None or status != 200:
        raise Unreadable(f"status {status}" if isinstance(status, int) else "it has an error")
    return answer_of(response.get("body"))

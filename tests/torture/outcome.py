"""What became of a case, and how that is found out.

After a fault everything must come back to the undisturbed content digests: by itself (`recomputed`), or by one clear
error, one line without a traceback, whose remedy leads there. Else something is `lost` (a traceback, a remedy that
leads nowhere, finished work made again or gone), or, worse, nobody was told (`silently wrong`).
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.torture.clone import Clone, Ended
from tests.torture.reference import Reference, files_of, is_finished
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import FileEntry, read_manifest
from unix_lib.artefacts.verify import verify

Verdict = Literal["recomputed", "clear error", "lost", "silently wrong"]
VERDICTS: tuple[Verdict, ...] = ("recomputed", "clear error", "lost", "silently wrong")
TRACEBACK = re.compile(r"^\s*traceback\b", re.IGNORECASE | re.MULTILINE)  # shown, or where it is
LOG = re.compile(r"traceback: (\S+)")
ERROR_LINE = re.compile(r"^(?:\w+Error|Interrupted|\w+Exception): \S.*", re.MULTILINE)
DRIVER_ERROR = re.compile(r"^WorkflowError[^\n]*:\n(\S[^\n]*)", re.MULTILINE)
DELETE = re.compile(r"delete (\S+?)[,;.]?(?:\s|$)")
SUBJECT = re.compile(r"^\w+: (\S+?):(?:\d+:)?\s")  # what an error is about, where it begins with a path


@dataclass(frozen=True)
class Outcome:
    """A case's verdict, and what led to it in a few words."""

    verdict: Verdict
    detail: str = ""
    steps: int = 0  # of optimizers, in all
    steps_repeated: int = 0  # beyond those of undisturbed jobs
    steps_of_finished: int = 0  # for results that were finished
    left: tuple[str, ...] = ()  # files in finished artefacts that the undisturbed run did not leave there


def clear_errors(ended: Ended) -> list[str]:
    """The lines, each once, that say what went wrong; none where a process ended otherwise, or with a traceback."""
    if TRACEBACK.search(ended.output):
        return []
    return list(dict.fromkeys([*ERROR_LINE.findall(ended.output), *DRIVER_ERROR.findall(ended.output)]))


def told(ended: Ended, clone: Clone) -> str:
    """The end of what a process said, in one line; of a traceback the last frame of ours."""
    text = ended.output
    for name in LOG.findall(text):
        text += (clone.folder / name).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    frames = [line.partition("/unix_lib/")[2] for line in lines if line.startswith('File "') and "/unix_lib/" in line]
    return " | ".join([f"exit {ended.code}", *frames[-1:], *lines[-1:]])[-400:]


def follow(line: str, clone: Clone, reference: Reference) -> list[str]:
    """Delete what a message says must be deleted; returns the artefacts that went with it."""
    gone: list[str] = []
    subject = SUBJECT.match(line)
    for name in DELETE.findall(line):
        if name in ("it", "them", "the") and subject is not None:
            name = subject.group(1)  # noqa: PLW2901
        path = (clone.folder / name).resolve()
        if not path.is_relative_to(clone.folder.resolve()) or not (path.exists() or path.is_symlink()):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        gone += [artefact for artefact in reference.digests if (clone.results / artefact).is_relative_to(path)]
    clone.write_plan(reference.plan)  # as whoever runs the workflow again does first
    return gone


def differences(clone: Clone, reference: Reference) -> list[str]:
    """Artefacts that are not what they were in the undisturbed run, by their manifests and files."""
    wrong = []
    for artefact, digest in reference.digests.items():
        if not is_finished(clone, artefact):
            wrong.append(f"{artefact} is gone")
            continue
        try:
            found = read_manifest(clone.results / artefact)
        except UserError as error:
            wrong.append(str(error))
            continue
        if found.digest != digest:
            wrong.append(f"{artefact} has another content digest")
        elif (path := _damaged_file(clone, reference, artefact, found.files)) is not None:
            wrong.append(f"{artefact}/{path} is not what its manifest says")
    return wrong


def _damaged_file(clone: Clone, reference: Reference, artefact: str, entries: list[FileEntry]) -> str | None:
    """A file of a manifest that is missing or not what the undisturbed run made."""
    for entry in entries:
        path = clone.results / artefact / entry.path
        if not path.is_file() or path.read_bytes() != reference.files[f"{artefact}/{entry.path}"]:
            return entry.path
    return None


def kept_damage(clone: Clone, harmed: dict[Path, bytes | None]) -> tuple[list[Path], list[Path]]:
    """Files that still hold the damage which was done to them, and those of them that `verify` says nothing of."""
    kept = [path for path, data in harmed.items() if (path.read_bytes() if path.is_file() else None) == data]
    faults = verify(clone.results).faults if kept else []
    return kept, [path for path in kept if not any(_names(fault, path, clone) for fault in faults)]


def _names(fault: str, path: Path, clone: Clone) -> bool:
    """Whether a line is about a file, or about the artefact that it belongs to."""
    stage, key, *_ = path.relative_to(clone.results).parts
    return str(path) in fault or f"{stage}/{key}" in fault


def left_over(clone: Clone, reference: Reference) -> tuple[str, ...]:
    """Files in finished artefacts that the undisturbed run did not leave there."""
    return tuple(
        name
        for artefact in reference.digests
        for path in files_of(clone, artefact)
        if (name := path.relative_to(clone.results).as_posix()) not in reference.files
    )

# What Snakemake believes, put right before it looks: its outputs are empty marks, made/<stage>/<name>-<digest>, and
# whether a job is done is said by the manifests of what it makes.
#
# So nothing that Snakemake deletes, marks as incomplete or finds too old is a result: not after its own death, not when
# an artefact before a job is made again, not on clocks that disagree.

import fcntl
import platform
import time
from base64 import urlsafe_b64decode
from contextlib import contextmanager

from unix_lib.artefacts.errors import UserError
from unix_lib.jobs.machine import refusal


@contextmanager
def told_in_a_line(results):
    """The library's errors, and what the machine refuses, as Snakemake's own."""
    try:
        yield
    except UserError as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        raise WorkflowError(str(refusal(error, results) or error)) from None


def mark_of(results, artefact):
    return f"{results}/made/{artefact}"


def marked(results):
    """Artefacts that have a mark."""
    made = Path(results) / "made"
    return {str(mark.relative_to(made)) for mark in made.glob("*/*")}


def mark_finished(artefacts, unfinished, marked_before, results):
    """Give each finished artefact its mark, all of one time, and take the others' away.

    Of another Snakemake's that is at work none is taken: what had a mark before it was looked at and is unfinished lost
    its manifest.
    """
    for artefact in artefacts:
        mark = Path(mark_of(results, artefact))
        if artefact in unfinished:
            if artefact in marked_before:
                mark.unlink(missing_ok=True)
        else:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            age(mark)
    # Records that a job was at work when a Snakemake was killed.
    state = Path(".snakemake/incomplete")
    for record in state.glob("**/*"):
        artefact = name_of(record, state).removeprefix(mark_of(results, ""))
        if record.is_file() and artefact in artefacts and artefact not in unfinished:
            record.unlink(missing_ok=True)


def age(mark):
    """Make a mark older than whatever is made of it: hosts' clocks differ."""
    os.utime(mark, (0, 0))


def age_all(results):
    """Make all marks older than what this host makes, the oldest first: none is to be older than what it was made of."""
    marks = [Path(mark_of(results, artefact)) for artefact in marked(results)]
    for mark in sorted(marks, key=lambda mark: mark.stat().st_mtime):
        age(mark)


def wait_until_seen(files, seconds=60):
    """Wait for files that another host has made, as long as a network file system may hide them."""
    ends = time.monotonic() + seconds
    for file in files:
        while not file.exists() and time.monotonic() < ends:
            time.sleep(1)


def become_the_driver(results):
    """Be the one Snakemake that makes these results, and remove the locks that a killed one left in .snakemake.

    A driver holds the kernel's lock on a file, which ends with its process. Where the last one ran on another host it is
    left to Snakemake's own lock, since a file system need not share the kernel's between hosts.

    Returns:
        The open file, to be kept as long as this process lives.

    Raises:
        WorkflowError: another one is at work.
    """
    results.mkdir(parents=True, exist_ok=True)
    lock = open(results / ".snakemake.lock", "a+")
    lock.seek(0)
    last = lock.read()  # "process 7 on host, since 2026-01-02 03:04:05"
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"{results}: another Snakemake, {last}, is making these results; wait until it ends, or stop it"
        ) from None
    except OSError:
        return lock  # a file system without locks
    if not last or last.partition(", since ")[0].endswith(f" on {platform.node()}"):
        for record in Path(".snakemake/locks").glob("*"):
            paths = record.read_text().split("\n")
            if all(path.startswith(f"{results}/") for path in paths if path):
                record.unlink()
    lock.truncate(0)
    # In a container each driver may have the same number.
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    lock.write(f"process {os.getpid()} on {platform.node()}, since {since}")
    lock.flush()
    return lock


def name_of(record, folder):
    """The path that a record of Snakemake's is about; "" where it is none of these."""
    try:
        parts = record.relative_to(folder).parts
        return urlsafe_b64decode(
            "".join(part.removeprefix("@") for part in parts)
        ).decode()
    except ValueError:
        return ""

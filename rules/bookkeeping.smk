# What Snakemake believes, put right before it looks: its outputs are empty marks, made/<stage>/<name>-<digest>, and
# whether a job is done is said by the manifests of what it makes.
#
# So nothing that Snakemake deletes, marks as incomplete or finds too old is a result: not after its own death, not when
# an artefact before a job is made again, not on clocks that disagree.

import fcntl
import platform
from base64 import urlsafe_b64decode


def mark_of(results, artefact):
    return f"{results}/made/{artefact}"


def mark_finished(artefacts, unfinished, results):
    """Give each finished artefact its mark, all of one time, and take the others' away."""
    for artefact in artefacts:
        mark = Path(mark_of(results, artefact))
        if artefact in unfinished:
            mark.unlink(missing_ok=True)
        else:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            age(mark)


def age(mark):
    """Make a mark older than whatever is made of it: hosts' clocks differ."""
    if os.path.exists(mark):
        os.utime(mark, (0, 0))


def forget_killed_runs(results):
    """Remove what a Snakemake that was killed left in .snakemake about these results, once none is alive.

    Every living one holds a shared lock, which ends with its process. One on another host is left to Snakemake's own
    lock, since a file system need not share ours between hosts.
    """
    results.mkdir(parents=True, exist_ok=True)
    lock = open(results / ".snakemake.lock", "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.seek(0)
        if lock.read() in ("", platform.node()):
            remove_records(results)
        lock.truncate(0)
        lock.write(platform.node())
        lock.flush()
    except BlockingIOError:
        pass
    except OSError:
        return lock  # a file system without locks
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def remove_records(results):
    """Remove Snakemake's locks on these results, and its records that their marks are incomplete."""
    state = Path(".snakemake")
    for lock in state.glob("locks/*"):
        if all(
            path.startswith(f"{results}/")
            for path in lock.read_text().split("\n")
            if path
        ):
            lock.unlink()
    for record in state.glob("incomplete/**/*"):
        if record.is_file() and name_of(record, state / "incomplete").startswith(
            f"{results}/"
        ):
            record.unlink()


def name_of(record, folder):
    """The path that a record of Snakemake's is about; "" where it is none of these."""
    try:
        parts = record.relative_to(folder).parts
        return urlsafe_b64decode(
            "".join(part.removeprefix("@") for part in parts)
        ).decode()
    except ValueError:
        return ""

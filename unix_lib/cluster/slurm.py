"""What a SLURM says of itself, and which jobs it could never run: found out before anything is submitted."""

import getpass
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unix_lib.artefacts.errors import UserError
from unix_lib.cluster.site import SITE, Place, Site
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.train import TrainExecution

SECONDS_TO_ANSWER = 60
NODES_FOR_NOW = "busy|down, drained"  # what a job may wait for
ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)  # fmt: skip
NO_ACCOUNTING = ("accounting_storage/none", "(null)")
# Where a config has the shape of a stage's jobs, if not in the stage's section.
SHAPES = {"sources": "sources_job", "report": "figures.job", "tokenizers": "job of that tokenizer"}


class ClusterError(UserError):
    """What can't be submitted to this cluster, and what to change."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of a partition that are alike; nodes of several kinds are several of these."""

    partition: str
    is_default: bool
    minutes: float  # longest job
    cpus: int
    memory_mb: int
    gpus: int
    count: int


def asked(*command: str, seconds: float = SECONDS_TO_ANSWER, may_fail: bool = False) -> str | None:
    """What one of SLURM's commands prints; None where it is not there, does not answer, or fails.

    Args:
        may_fail: take what it prints before it fails too.
    """
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=not may_fail)
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout


def keeps_accounts() -> bool:
    """Whether the cluster has an accounting database, as far as it tells. Without one `sacct` knows of no job."""
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", asked("scontrol", "show", "config") or "", re.MULTILINE)
    return found is None or found[1] not in NO_ACCOUNTING


def nodes() -> list[Nodes]:
    """All partitions that this user sees, in one question.

    Raises:
        ClusterError: `sinfo` does not answer.
    """
    lines = (asked("sinfo", "--noheader", "--exact", "--format=%P|%l|%c|%m|%G|%D") or "").split()
    if not lines:
        raise ClusterError("sinfo names no partition: is SLURM at work, and is this a login node of it?")
    return [_nodes(line) for line in lines]


def _nodes(line: str) -> Nodes:
    partition, longest, cpus, memory, generic, count = line.split("|")
    gpus = sum(int(number) for number in re.findall(r"gpu:(?:[^:,()]+:)?(\d+)", generic))
    return Nodes(
        partition.rstrip("*"),
        partition.endswith("*"),
        minutes(longest),
        int(cpus.rstrip("+")),
        int(memory.rstrip("+")),
        gpus,
        int(count),
    )


def minutes(duration: str) -> float:
    """Minutes of a duration as SLURM writes it: `infinite`, `30:00`, `12:00:00` or `1-00:00:00`."""
    days, _, clock = duration.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in (days or "0", *parts)):
        return float("inf")  # infinite, n/a
    hours, whole, seconds = (int(part) for part in [*["0"] * (3 - len(parts)), *parts])
    return int(days or 0) * 1440 + hours * 60 + whole + seconds / 60


def _accounts() -> dict[str, set[str]]:
    """QOS by account, of this user; empty where that can't be found out, as without an accounting database."""
    user = getpass.getuser()
    shown = asked("sacctmgr", "-nP", "show", "associations", "where", f"user={user}", "format=account,qos")
    found: dict[str, set[str]] = {}
    for line in (shown or "").split():
        account, _, qos = line.partition("|")
        found.setdefault(account.lower(), set()).update(filter(None, qos.split(",")))
    return found


def faults(site: Site, jobs: Sequence[tuple[str, Execution]]) -> list[str]:
    """What this cluster would refuse, or leave waiting for ever, of jobs given by stage: a line each.

    Raises:
        ClusterError: `sinfo` does not answer.
    """
    there = nodes()
    accounts = _accounts() if any(site.of(stage).account for stage, _ in jobs) else {}
    kept = bool(accounts) or keeps_accounts()
    together = {stage: min(site.batch_of(stage), count) for stage, count in Counter(stage for stage, _ in jobs).items()}
    alike = {(stage, execution.model_dump_json()): (stage, execution) for stage, execution in jobs}
    found: list[str] = []
    for stage, execution in alike.values():
        place = site.of(stage)
        shape = execution.job
        batch = shape.model_copy(update={"runtime_minutes": shape.runtime_minutes * together[stage]})
        own = [
            *_of_account(place, accounts, kept),
            *_of_shape(stage, batch, together[stage], place.partition, there),
            *_of_saves(stage, execution),
        ]
        found += own or _of_submission(stage, batch, place)
    return list(dict.fromkeys(found))


def _of_account(place: Place, accounts: dict[str, set[str]], kept: bool) -> Iterable[str]:
    if place.account is None:
        return
    if not kept:
        yield f"account '{place.account}': this cluster keeps no accounts; take it out of {SITE}"
    elif accounts and place.account.lower() not in accounts:
        yield f"account '{place.account}' is not yours; set one of {', '.join(sorted(accounts))} in {SITE}"
    elif place.qos is not None and (known := accounts.get(place.account.lower())) and place.qos not in known:
        yield f"QOS '{place.qos}' is not of account '{place.account}'; set one of {', '.join(sorted(known))} in {SITE}"


def _of_submission(stage: str, shape: JobShape, place: Place) -> Iterable[str]:
    """What `sbatch` itself says of such a job, which it only tests: rules of the site that nothing else tells."""
    said = {
        "account": place.account,
        "partition": place.partition,
        "qos": place.qos,
        "constraint": place.constraint,
        "time": shape.runtime_minutes,
        "mem": shape.memory_mb,
        "nodes": shape.nodes,
        "cpus-per-task": shape.threads,
        "gres": f"gpu:{shape.gpus}" if shape.gpus else None,
    }
    options = [f"--{name}={value}" for name, value in said.items() if value is not None]
    command = ["sbatch", "--test-only", *options, *shlex.split(place.options or ""), "--wrap=true"]
    try:
        tested = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False)
    except (OSError, subprocess.SubprocessError):
        return
    answer = " ".join(tested.stderr.split())
    if tested.returncode and not re.search(NODES_FOR_NOW, answer):
        yield f"{stage}: sbatch says: {answer or 'nothing'}; see {SITE}, or {_config_of(stage)}"


def _config_of(stage: str) -> str:
    return f"{SHAPES.get(stage, f'{stage}.job')} in the config"


def _of_shape(stage: str, shape: JobShape, together: int, partition: str | None, there: list[Nodes]) -> Iterable[str]:
    """What no node of a partition has of a job's shape; `shape` has the wall time of `together` jobs."""
    names = sorted({nodes.partition for nodes in there})
    if partition is None:
        wanted = {nodes.partition for nodes in there if nodes.is_default}
        if not wanted:
            yield f"{stage}: this cluster has no default partition; set `partition` in {SITE}: {', '.join(names)}"
            return
    else:
        wanted = {name.strip() for name in partition.split(",")}
        if unknown := sorted(wanted - set(names)):
            yield f"no partition '{', '.join(unknown)}' here; set one of {', '.join(names)} in {SITE}"
            return
    candidates = [nodes for nodes in there if nodes.partition in wanted]
    fitting = [nodes for nodes in candidates if not _too_much(shape, nodes)]
    if sum(nodes.count for nodes in fitting) >= shape.nodes:
        return
    where = f"{_config_of(stage)}, or another partition in {SITE}"
    name = ", ".join(sorted(wanted))
    if fitting:
        count = sum(nodes.count for nodes in fitting)
        yield f"{stage}: nodes: {shape.nodes}, and partition '{name}' has {count} such; lower it in {where}"
        return
    # What no node has; where each has something of it, what the one that lacks least has not.
    all_lacking = [_too_much(shape, nodes) for nodes in candidates]
    lacking = min(all_lacking, key=lambda keys: (len(keys), [-has for _, _, has in keys]))
    for key, asked, has in lacking:
        if key == "runtime_minutes" and together > 1:
            where = f"{where}, or a smaller batch ({together} jobs are together)"
        yield f"{stage}: {key}: {asked} is more than partition '{name}' gives, {has:g}; lower it in {where}"


def _too_much(shape: JobShape, nodes: Nodes) -> list[tuple[str, int, float]]:
    """Keys of a shape that are more than nodes have, with both numbers."""
    pairs = [
        ("threads", shape.threads, float(nodes.cpus)),
        ("memory_mb", shape.memory_mb, float(nodes.memory_mb)),
        ("gpus", shape.gpus, float(nodes.gpus)),
        ("runtime_minutes", shape.runtime_minutes, nodes.minutes),
    ]
    return [pair for pair in pairs if pair[1] > pair[2]]


def _of_saves(stage: str, execution: Execution) -> Iterable[str]:
    """A job that is killed before its first save begins at the same step for ever."""
    if isinstance(execution, TrainExecution) and execution.save_seconds >= execution.job.runtime_minutes * 60:
        yield (
            f"{stage}: save_seconds: {execution.save_seconds} is no less than a job lasts "
            f"({execution.job.runtime_minutes} minutes); lower it, or raise {stage}.job.runtime_minutes"
        )


def live_jobs(name: str) -> dict[str, str] | None:
    """Ids by comment of this user's jobs of a name that wait, run or end; None where SLURM does not answer."""
    told = asked("squeue", "--me", "--noheader", "--states=all", f"--name={name}", "--format=%i|%T|%k")
    if told is None:
        return None
    fields = [line.split("|", 2) for line in told.splitlines()]
    return {one[2]: one[0] for one in fields if len(one) == 3 and one[1] not in ENDED}

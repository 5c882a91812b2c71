"""A real SLURM of two nodes on this machine, for as long as a `with` block lasts.

Two `slurmd` with one CPU each, one `slurmctld`, one `munged` with a key of its own; no accounting database. The nodes
are called 127.0.0.1 and 127.0.0.2, names that every process can reach without an entry in /etc/hosts. The two GPUs of
each node are only numbers: SLURM hands them out, and nothing can compute on them.

The one file outside `folder` is /etc/slurm/slurm.conf (with gres.conf), since the Snakemake plugin drops the variable
that would name another place. It is written only where there is none, and removed at the end.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel")
ETC = Path("/etc/slurm")
NODES = ("127.0.0.1", "127.0.0.2")
READY_SECONDS = 60.0

CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldPort={ports[0]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=20
MinJobAge=300
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=6000 Gres=gpu:2
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=6000 Gres=gpu:2
PartitionName=test Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=INFINITE State=UP
"""
# Device files that every process may open stand in for GPUs.
GPUS = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


def why_not() -> str | None:
    """Why no cluster can be started here; None where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} here (Debian packages slurm-wlm and munge)"
    if os.geteuid() != 0:
        return "only root can start munged, slurmctld and slurmd"
    if (ETC / "slurm.conf").exists():
        return f"{ETC}/slurm.conf exists: of a cluster, or of a test that runs or was killed (then delete it)"
    return None


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def states() -> list[str]:
    """State of each node, as `sinfo` says it."""
    shown = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], capture_output=True, text=True, check=False)
    return shown.stdout.split()


@contextmanager
def _daemon(folder: Path, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def two_nodes(folder: Path) -> Iterator[None]:
    """Run the cluster; its state and logs lie in `folder`. All its jobs are cancelled at the end.

    Raises:
        RuntimeError: the nodes do not become idle; the message ends with the logs.
    """
    (folder / "state").mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    config = CONFIG.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        user=pwd.getpwuid(os.geteuid()).pw_name,
        nodes=NODES,
        ports=_free_ports(3),
    )
    with ExitStack() as stack:
        for name, text in (("slurm.conf", config), ("gres.conf", GPUS)):
            (ETC / name).write_text(text)
            stack.callback((ETC / name).unlink)
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
        socket_path = f"--socket={folder}/munge.socket"
        stack.enter_context(_daemon(folder, "munged", "munged", "--foreground", "--force", socket_path, *munge))
        stack.enter_context(_daemon(folder, "slurmctld", "slurmctld", "-D"))
        for node in NODES:
            stack.enter_context(_daemon(folder, f"slurmd-{node}", "slurmd", "-D", "-N", node))
        stack.callback(_cancel_all)
        limit = time.monotonic() + READY_SECONDS
        while states() != ["idle", "idle"]:
            if time.monotonic() > limit:
                logs = "\n".join(f"== {path.name}\n{path.read_text()[-2000:]}" for path in folder.glob("*.log"))
                raise RuntimeError(f"the nodes are {states()} after {READY_SECONDS:.0f} s\n{logs}")
            time.sleep(0.5)
        yield


def queued() -> list[str]:
    """Ids of the jobs that wait or run."""
    shown = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=False)
    return shown.stdout.split()


def _cancel_all() -> None:
    """Cancel every job and wait until the nodes have let go of them."""
    limit = time.monotonic() + READY_SECONDS
    while ids := subprocess.run(
        ["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=False
    ).stdout.split():
        if time.monotonic() > limit:
            break
        subprocess.run(["scancel", "--full", *ids], capture_output=True, check=False)
        time.sleep(0.5)

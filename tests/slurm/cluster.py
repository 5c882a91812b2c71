"""A real SLURM of two nodes on this machine, for as long as a `with` block lasts.

Two `slurmd` with one CPU each, one `slurmctld`, one `munged` with a key of its own; on request an accounting database
(tests/slurm/accounting.py). The nodes are called 127.0.0.1 and 127.0.0.2, names that every process can reach without an
entry in /etc/hosts. The two GPUs of each node are only numbers: SLURM hands them out, and nothing can compute on them.
A job that uses more memory than it asked for is killed by SLURM, which looks every two seconds.

The only files outside `folder` are /etc/slurm/slurm.conf and its like, since the Snakemake plugin drops the variable
that would name another place. They are written only where there is no cluster, and removed at the end.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel")
ETC = Path("/etc/slurm")
NODES = ("127.0.0.1", "127.0.0.2")
CONTROLLER = "controller"
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
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
{accounting}
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
PartitionName=test Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=spare Nodes={nodes[0]},{nodes[1]} MaxTime=1-00:00:00 State=UP PriorityTier=1
PartitionName=lost Nodes={nodes[0]},{nodes[1]} State=UP PriorityTier=1 PreemptMode=CANCEL
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


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def states() -> list[str]:
    """State of each node, as `sinfo` says it."""
    shown = subprocess.run(["sinfo", "-h", "-N", "-p", "test", "-o", "%T"], capture_output=True, text=True, check=False)
    return shown.stdout.split()


@contextmanager
def daemon(folder: Path, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
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


class Cluster:
    """The running cluster: its nodes and its controller may die, and come back."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start the daemon of a node, or the controller."""
        command = ("slurmctld", "-D") if name == CONTROLLER else ("slurmd", "-D", "-N", name)
        self._daemons[name] = self._stack.enter_context(daemon(self._folder, f"slurm-{name}", *command))

    def stop_controller(self) -> None:
        """End the controller, as for an update; jobs go on."""
        self._daemons[CONTROLLER].terminate()
        self._daemons[CONTROLLER].wait()

    def kill(self, node: str) -> None:
        """Kill a node's daemon and all that it runs at once, as a loss of power does."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        lost = [pid for pid in pids if _node_of(pid) == node]
        assert lost
        parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in lost}
        steps = [pid for pid in parents if Path(f"/proc/{pid}/comm").read_text().startswith("slurmstepd")]
        for pid in (self._daemons[node].pid, *steps, *lost):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _node_of(pid: int) -> str | None:
    """The node that a process belongs to; None of one that is no job's, or ended."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((one.decode().partition("=")[2] for one in variables if one.startswith(b"SLURMD_NODENAME=")), None)


class Accounting:
    """Without an accounting database; with one, tests/slurm/accounting.py."""

    def config(self, folder: Path) -> str:
        """What the cluster's configuration says of it."""
        return "AccountingStorageType=accounting_storage/none"

    @contextmanager
    def running(self, folder: Path) -> Iterator[None]:
        """Run what it needs, before the controller starts."""
        yield


@contextmanager
def two_nodes(folder: Path, accounting: Accounting | None = None) -> Iterator[Cluster]:
    """Run the cluster; its state and logs lie in `folder`. All its jobs are cancelled at the end.

    Raises:
        RuntimeError: the nodes do not become idle; the message ends with the logs.
    """
    accounting = accounting or Accounting()
    (folder / "state").mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    config = CONFIG.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        user=pwd.getpwuid(os.geteuid()).pw_name,
        nodes=NODES,
        ports=free_ports(3),
        accounting=accounting.config(folder),
    )
    with ExitStack() as stack:
        for name, text in (("slurm.conf", config), ("gres.conf", GPUS)):
            stack.callback((ETC / name).unlink, missing_ok=True)
            (ETC / name).write_text(text)
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
        socket_path = f"--socket={folder}/munge.socket"
        stack.enter_context(daemon(folder, "munged", "munged", "--foreground", "--force", socket_path, *munge))
        stack.enter_context(accounting.running(folder))
        cluster = Cluster(folder, stack)
        for name in (CONTROLLER, *NODES):
            cluster.start(name)
        stack.callback(_cancel_all)
        limit = time.monotonic() + READY_SECONDS
        while states() != ["idle", "idle"]:
            if time.monotonic() > limit:
                logs = "\n".join(f"== {path.name}\n{path.read_text()[-2000:]}" for path in folder.glob("*.log"))
                raise RuntimeError(f"the nodes are {states()} after {READY_SECONDS:.0f} s\n{logs}")
            time.sleep(0.5)
        yield cluster


def queued() -> list[str]:
    """Ids of the jobs that wait or run."""
    shown = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=False)
    return shown.stdout.split()


def _cancel_all() -> None:
    """Cancel every job and wait until the nodes have let go of them."""
    limit = time.monotonic() + READY_SECONDS
    while ids := queued():
        if time.monotonic() > limit:
            break
        subprocess.run(["scancel", "--full", *ids], capture_output=True, check=False)
        time.sleep(0.5)

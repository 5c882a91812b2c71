"""From one script call to the processes of a job, before torch is imported; their end where the call is killed.

One process: nothing happens. Several on one machine: this process becomes `torch.distributed.run`. Several nodes under
SLURM: `srun` starts the script once per node, and each becomes that node's launcher; the first host of the job's node
list is where they meet. Several machines without SLURM, where the site names a hostfile: this process starts a launcher
on each. A signal to the launcher reaches the trainers, which save and leave.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.recipe import results_of
from unix_lib.cluster.hosts import Host, hosts_of, require_reachable, run_on, signal_with_parent
from unix_lib.cluster.site import Site, read_site
from unix_lib.config.jobs import JobShape
from unix_lib.config.train import CheckpointSettings, TrainExecution
from unix_lib.jobs.command_line import ATTEMPT, new_attempt
from unix_lib.jobs.job import Job, lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.jobs.machine import in_a_line
from unix_lib.train.errors import TrainError
from unix_lib.train.state import work_folder

FIRST_PORT, PORTS = 20000, 12000
# From a signal to the kill: a step, a save of tens of gigabytes and its hash. PyTorch's own 30 s are too few.
SECONDS_TO_SAVE = 300
SECONDS_FOR_SCONTROL = 60
LAUNCHER = "UNIX_LAUNCHER_PID"  # in the environment of the processes that it starts
SLURM = frozenset(("SLURM_JOB_ID", "SLURM_NNODES"))


def first_host(node_list: str) -> str:
    """First host of a SLURM node list, asked of SLURM: `gpu[003-007,010],login1` gives `gpu003`.

    Raises:
        TrainError: `scontrol` is missing, fails or names no host.
    """
    command = ["scontrol", "show", "hostnames", node_list]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS_FOR_SCONTROL)
        hosts, why = shown.stdout.split(), "it names no host"
    except subprocess.CalledProcessError as error:
        hosts, why = [], error.stderr.strip() or f"exit status {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        hosts, why = [], str(error)
    if not hosts:
        raise TrainError(
            f"SLURM_JOB_NODELIST '{node_list}' can't be read by `{' '.join(command[:3])}` ({why}); start the job "
            "through sbatch or srun, and make SLURM's commands available on its nodes"
        )
    return hosts[0]


def launcher_arguments(shape: JobShape, environment: Mapping[str, str]) -> list[str] | None:
    """Arguments of `torch.distributed.run`, or None where this process is to do the work itself.

    Raises:
        TrainError: the job has several nodes, and SLURM gave others or no `srun` step was started.
    """
    if shape.world_size == 1 or "RANK" in environment:
        return None
    if not SLURM & environment.keys():  # no cluster: all processes are on this machine, or on hosts that the site names
        return ["--standalone", f"--nproc-per-node={shape.world_size}"]
    given = int(environment.get("SLURM_NNODES", shape.nodes))  # outside a job step the plugin hides it
    if given != shape.nodes:
        raise TrainError(f"the job's shape says nodes: {shape.nodes}, SLURM gave {given}; make them agree")
    if shape.nodes == 1:
        return ["--standalone", f"--nproc-per-node={shape.processes_per_node}"]
    if "SLURM_STEP_ID" not in environment:
        raise TrainError(f"a job of {shape.nodes} nodes starts one launcher per node; start the script with srun")
    return [
        f"--nnodes={shape.nodes}",
        f"--node-rank={environment['SLURM_NODEID']}",
        f"--nproc-per-node={shape.processes_per_node}",
        f"--master-addr={first_host(environment['SLURM_JOB_NODELIST'])}",
        f"--master-port={FIRST_PORT + int(environment['SLURM_JOB_ID']) % PORTS}",
    ]


def launcher_command(arguments: list[str], script: list[str]) -> list[str]:
    """Command line of the launcher. After `--` it leaves the script's options alone; its own parser would take
    `--log` for a shortened `--log-dir`."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--shutdown-timeout={SECONDS_TO_SAVE}"]
    return [*command, *arguments, "--", *script]


def launch_processes() -> None:
    """Become the launcher if the job has several processes and was not launched yet; else return.

    Before that, a process that makes the same checkpoint, or trains the same run, is waited for: its driver may have
    been killed without it. What it has finished is not made again.
    """
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("--recipe", "--execution", "--output", "--log"):
        parser.add_argument(name, type=Path)
    given = parser.parse_known_args()[0]
    if None in (given.recipe, given.execution, given.output) or not given.execution.is_file():
        return  # the script's own parser has the better message
    try:
        job: Job[CheckpointSettings, TrainExecution] = Job.from_files(given.recipe, given.execution, given.output)
        arguments, site = launcher_arguments(job.shape, os.environ), read_site()
        if arguments is None:
            return
        if os.environ.get("SLURM_NODEID", "0") != "0":
            _become_launcher(arguments, _environment(given.log, ()))
        run = Lock(lock_path(work_folder(job.results, job.settings.run, job.settings.run_digest)))
        with job.alone() as artefact, run:
            if job.made() is None:
                if hosts := hosts_without_slurm(job.shape, site, os.environ):
                    require_reachable(hosts, site.remote_shell, [given.recipe])
                    environment = _environment(given.log, (artefact, run))
                    sys.exit(run_on(hosts, site.remote_shell, host_commands(hosts, job.shape), environment))
                _become_launcher(arguments, _environment(given.log, (artefact, run)))
    except (UserError, OSError) as error:
        told = in_a_line(error, results_of(given.recipe))
        if told is None:
            raise
        sys.exit(told)
    sys.exit()


def hosts_without_slurm(shape: JobShape, site: Site, environment: Mapping[str, str]) -> list[Host]:
    """Hosts of a job of several nodes outside SLURM, where the site has a hostfile; else none.

    Raises:
        HostError: the hostfile can't be read, or has too few.
    """
    if shape.nodes == 1 or site.hostfile is None or SLURM & environment.keys():
        return []
    return hosts_of(site.hostfile, shape.nodes, shape.processes_per_node)


def host_commands(hosts: list[Host], shape: JobShape) -> list[list[str]]:
    """Command lines of the launchers of hosts, which meet at the first."""
    port = FIRST_PORT + os.getpid() % PORTS
    meeting = [f"--master-addr={hosts[0].name.rpartition('@')[2]}", f"--master-port={port}"]
    named = ["sh", "-c", f'{LAUNCHER}=$$ exec "$@"', "sh"]  # the launcher's process ID is known only on its host
    return [
        named
        + launcher_command(
            [f"--nnodes={len(hosts)}", f"--node-rank={rank}", f"--nproc-per-node={shape.processes_per_node}", *meeting],
            sys.argv,
        )
        for rank in range(len(hosts))
    ]


def _environment(log: Path | None, locks: Iterable[Lock]) -> dict[str, str]:
    """Environment of a launcher, which writes in the name of the locks that this process holds."""
    # As by `python -P`: the processes must not take scripts/tokenizers.py for the library of that name.
    environment = os.environ | {"PYTHONSAFEPATH": "1", LAUNCHER: str(os.getpid())}
    if log is not None:
        environment[ATTEMPT] = str(new_attempt(log))
    for lock in locks:
        lock.hand_over(environment)
    return environment


def _become_launcher(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    sys.stderr.flush()
    os.execve(sys.executable, launcher_command(arguments, sys.argv), environment)


def end_with_launcher() -> None:
    """Have the kernel kill this process when its launcher ends, also where that was killed outright (Linux only).

    A launcher puts its processes into sessions of their own: no signal to its group reaches them.
    """
    launcher = os.environ.get(LAUNCHER)
    if launcher is None or "RANK" not in os.environ or not signal_with_parent(signal.SIGKILL):
        return
    if os.getppid() != int(launcher):
        sys.exit("the launcher of this process has ended")

"""From one script call to the processes of a job, before torch is imported.

One process: nothing happens. Several on one machine: this process becomes `torch.distributed.run`. Several nodes under
SLURM: `srun` starts the script once per node, and each becomes that node's launcher; the first host of the job's node
list is where they meet. A signal to the launcher reaches the trainers, which save and leave.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unix_lib.train.errors import TrainError

FIRST_PORT, PORTS = 20000, 12000
# From a signal to the kill: a step, a save of tens of gigabytes and its hash. PyTorch's own 30 s are too few.
SECONDS_TO_SAVE = 300


def processes_per_node(shape: Mapping[str, Any]) -> int:
    """One process per GPU, or one per node on CPU."""
    return max(1, shape["gpus"])


def first_host(node_list: str) -> str:
    """First host of a SLURM node list: `gpu[003-007,010],login1` gives `gpu003`."""
    head = re.match(r"([^,\[]+)(?:\[([^\]]*)\]([^,]*))?", node_list)
    if head is None:
        raise TrainError(f"SLURM_JOB_NODELIST '{node_list}' names no host; start the job through sbatch or srun")
    prefix, ranges, suffix = head.groups()
    return prefix if ranges is None else f"{prefix}{re.split('[-,]', ranges)[0]}{suffix}"


def launcher_arguments(shape: Mapping[str, Any], environment: Mapping[str, str]) -> list[str] | None:
    """Arguments of `torch.distributed.run`, or None where this process is to do the work itself.

    Args:
        shape: the job's shape (`nodes`, `gpus`).
        environment: the process's environment variables.

    Raises:
        TrainError: the job has several nodes, and SLURM gave others or no `srun` step was started.
    """
    per_node, nodes = processes_per_node(shape), shape["nodes"]
    if per_node * nodes == 1 or "RANK" in environment:
        return None
    if not {"SLURM_JOB_ID", "SLURM_NNODES"} & environment.keys():  # no cluster: all processes are on this machine
        return ["--standalone", f"--nproc-per-node={per_node * nodes}"]
    given = int(environment.get("SLURM_NNODES", nodes))  # outside a job step the plugin hides it
    if given != nodes:
        raise TrainError(f"the job's shape says nodes: {nodes}, SLURM gave {given}; make them agree")
    if nodes == 1:
        return ["--standalone", f"--nproc-per-node={per_node}"]
    if "SLURM_STEP_ID" not in environment:
        raise TrainError(f"a job of {nodes} nodes starts one launcher per node; start the script with srun")
    return [
        f"--nnodes={nodes}",
        f"--node-rank={environment['SLURM_NODEID']}",
        f"--nproc-per-node={per_node}",
        f"--master-addr={first_host(environment['SLURM_JOB_NODELIST'])}",
        f"--master-port={FIRST_PORT + int(environment['SLURM_JOB_ID']) % PORTS}",
    ]


def launcher_command(arguments: list[str], script: list[str]) -> list[str]:
    """Command line of the launcher. After `--` it leaves the script's options alone; its own parser would take
    `--log` for a shortened `--log-dir`."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--shutdown-timeout={SECONDS_TO_SAVE}"]
    return [*command, *arguments, "--", *script]


def launch_processes() -> None:
    """Become the launcher if the job has several processes and was not launched yet; else return."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--execution", type=Path)
    execution = parser.parse_known_args()[0].execution
    if execution is None or not execution.is_file():
        return  # the script's own parser has the better message
    try:
        arguments = launcher_arguments(json.loads(execution.read_text(encoding="utf-8"))["job"], os.environ)
    except TrainError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    if arguments is not None:
        sys.stderr.flush()
        os.execv(sys.executable, launcher_command(arguments, sys.argv))

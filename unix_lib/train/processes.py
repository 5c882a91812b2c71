"""The processes of a training job: who this one is, and how DeepSpeed is brought up without a launcher or compiler."""

import logging
import os
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unix_lib.train.errors import TrainError


@dataclass(frozen=True)
class Processes:
    """This process among the job's."""

    rank: int
    world_size: int
    use_cpu: bool

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0


def this_process(shape: Mapping[str, Any]) -> Processes:
    """Read the launcher's environment variables.

    Args:
        shape: the job's shape (`nodes`, `gpus`, `threads`).

    Raises:
        TrainError: the launcher started another number of processes than the shape says.
    """
    expected = shape["nodes"] * max(1, shape["gpus"])
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size != expected:
        raise TrainError(
            f"the job's shape (nodes: {shape['nodes']}, gpus: {shape['gpus']}) means {expected} process(es), but "
            f"WORLD_SIZE is {world_size}; start it with scripts/train.py, which launches the right number"
        )
    return Processes(rank=int(os.environ.get("RANK", "0")), world_size=world_size, use_cpu=shape["gpus"] == 0)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def prepare_deepspeed(processes: Processes) -> None:
    """Set what DeepSpeed reads when it is imported and initialised; called once, before the Trainer.

    Raises:
        TrainError: the job asks for GPUs that this machine does not show.
    """
    if processes.use_cpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    if "RANK" not in os.environ:  # one process without a launcher; DeepSpeed would look for mpi4py
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        os.environ["MASTER_PORT"] = str(_free_port())
    import torch

    local = int(os.environ["LOCAL_RANK"])
    if not processes.use_cpu and torch.cuda.device_count() <= local:
        raise TrainError(
            f"process {local} of this node finds {torch.cuda.device_count()} GPU(s); set train.job.gpus to what a node "
            "has, or to 0 for the CPU"
        )
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    # Says that the Trainer, not accelerate, counts the accumulation steps, each time: as it should be.
    logging.getLogger("accelerate.accelerator").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of the libraries among themselves
    import deepspeed

    # A shared-memory op for CPU processes, compiled at first use: a minute, a compiler, and a race between processes.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

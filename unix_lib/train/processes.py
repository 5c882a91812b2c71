"""The processes of a training job: who this one is, and how DeepSpeed is brought up without a launcher or compiler."""

import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar

from unix_lib.config.jobs import JobShape
from unix_lib.train.errors import TrainError

PATIENCE = timedelta(minutes=30)  # of a process that waits: another may hash a state of many gigabytes meanwhile
Answer = TypeVar("Answer")


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


def this_process(shape: JobShape) -> Processes:
    """Read the launcher's environment variables.

    Raises:
        TrainError: the launcher started another number of processes than the shape says.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size != shape.world_size:
        raise TrainError(
            f"the job's shape (nodes: {shape.nodes}, gpus: {shape.gpus}) means {shape.world_size} process(es), but "
            f"WORLD_SIZE is {world_size}; start it with scripts/train.py, which launches the right number"
        )
    return Processes(rank=int(os.environ.get("RANK", "0")), world_size=world_size, use_cpu=shape.gpus == 0)


def answer_of_the_first(processes: Processes, ask: Callable[[], Answer]) -> Answer:
    """What the first process finds out, told to all; called once, on all processes, before the Trainer is made.

    Brings up the process group that the Trainer then uses: left to itself the Trainer does so together with ZeRO 3,
    under which transformers would shard a model that is read afterwards.
    """
    if processes.world_size == 1:
        return ask()
    import torch

    if not processes.use_cpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("gloo" if processes.use_cpu else "nccl", timeout=PATIENCE)
    answer = [ask() if processes.first else None]
    torch.distributed.broadcast_object_list(answer)
    return answer[0]  # type: ignore[return-value]


def gathered(processes: Processes, mine: Answer) -> list[Answer]:
    """What each process has to say, on all of them, by rank; called on all together."""
    if processes.world_size == 1:
        return [mine]
    import torch

    answers: list[Answer] = [mine] * processes.world_size
    torch.distributed.all_gather_object(answers, mine)
    return answers


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


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


def leave_together(processes: Processes) -> None:
    """End the process group on all processes at once: one that exits beside others still at work may be aborted."""
    if processes.world_size > 1:
        import torch

        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def end_process() -> NoReturn:
    """End a process whose work is done and written, with exit status 0 and without Python's own ending.

    A thread of gloo may drop the tensors of the last collective operation after it has answered. If Python is being
    taken down by then, the process aborts, its launcher stops the others, and a finished checkpoint is a failed job.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

"""Puts a segment where a state says: weights, optimizer and random numbers, on all processes together."""

import logging

from unix_lib.train import state
from unix_lib.train.errors import TrainError
from unix_lib.train.processes import Processes
from unix_lib.train.random_state import restore_random_state
from unix_lib.train.reshaping import SavedTensors, put_tensors
from unix_lib.train.shards import TAG
from unix_lib.train.state import Numerics, State
from unix_lib.train.trainer import SegmentTrainer

logger = logging.getLogger(__name__)


def load_state(start: State, trainer: SegmentTrainer, processes: Processes, numerics: Numerics) -> None:
    """Load a state into a trainer that has begun.

    With the numeric settings that it was written with DeepSpeed loads it, to the last bit; with others its tensors are
    dealt anew.

    Raises:
        TrainError: it was written for other packs, or DeepSpeed can't load it.
    """
    progress = start.progress
    if trainer.stream.fingerprint(progress.packs) != progress.next_batch:
        raise TrainError(
            f"{start.folder}: the packs at position {progress.packs} are not those the run was trained with; "
            "delete the pack artefact and this run's checkpoints and saves, and run again"
        )
    written, folder = progress.numerics, start.folder / state.DEEPSPEED
    if written == numerics or (written.zero_stage, numerics.zero_stage) == (0, 0):
        loaded, _ = trainer.engine.load_checkpoint(str(folder), tag=TAG, load_lr_scheduler_states=False)
        if loaded is None:
            raise TrainError(f"{start.folder}: DeepSpeed could not load it; delete it to start from an earlier state")
    else:
        logger.warning("%s was written with %s, this job has %s: dealt anew", start.folder, written, numerics)
        put_tensors(SavedTensors(folder / TAG, written, trainer.optimized_names()), trainer.engine, progress.step)
    restore_random_state(start.folder, processes.rank)
    logger.info("training continues at step %d from %s", progress.step, start.folder)

"""Trains one segment of a run: from the newest state before it, or the model that the run begins with, to its end."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from torch import Tensor

from unix_lib.config.train import CheckpointSettings, TrainExecution
from unix_lib.jobs.job import Job
from unix_lib.jobs.lock import Lock
from unix_lib.models import UnixForCausalLM
from unix_lib.models.gpu_attention import check_kernels
from unix_lib.models.routing import build_batch
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.vocabulary import Vocabulary
from unix_lib.train.callback import SegmentCallback
from unix_lib.train.errors import Interrupted
from unix_lib.train.heldout import heldout_batches
from unix_lib.train.loader import load_state
from unix_lib.train.log import StepLog
from unix_lib.train.measurements import Measurements
from unix_lib.train.processes import Processes, answer_of_the_first
from unix_lib.train.saver import StateSaver
from unix_lib.train.state import Numerics, newest_state
from unix_lib.train.state_writer import StateWriter
from unix_lib.train.stopping import Stopper, deadline
from unix_lib.train.stream import PackStream, Share, warn_of_repeats
from unix_lib.train.tracking import TrackingCallback
from unix_lib.train.trainer import SegmentTrainer, training_arguments


@dataclass(frozen=True)
class Trained:
    """What a segment leaves for its checkpoint."""

    model: UnixForCausalLM
    weights: dict[str, Tensor] | None  # the best or the last, on the CPU; None on other processes than the first
    steps: StepLog
    measurements: Measurements


def train_segment(  # noqa: PLR0917
    job: Job[CheckpointSettings, TrainExecution],
    processes: Processes,
    share: Share,
    work: Path,
    lock: Lock | None,
    build_model: Callable[[Vocabulary, Path | None], UnixForCausalLM],
) -> Trained:
    """Train up to the step of a checkpoint's recipe and, where a later segment can follow, write its state.

    Args:
        share: of each step's packs.
        work: folder of the saves between checkpoints. lock: of the run, held by the first process.
        build_model: the model to train, from the vocabulary and the folder of the state that is then loaded into it;
            without one it is the model that the run begins with.

    Raises:
        TrainError, Interrupted: see `unix_lib.train.make.make_checkpoint`.
    """
    settings, execution = job.settings, job.execution
    torch.set_num_threads(job.shape.threads)
    transformers.set_seed(settings.seed)
    check_kernels(
        execution.attention,
        torch.device("cpu" if processes.use_cpu else "cuda"),
        torch.bfloat16 if execution.precision == "bfloat16" else torch.float32,
        training=True,
    )
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    packs = PackReader(job.input("pack"))
    if processes.first:
        warn_of_repeats(settings.optimization.total_steps * share.packs_per_step, len(packs))
    start = answer_of_the_first(
        processes, lambda: newest_state(job.results, settings.run, settings.run_digest, settings.step)
    )
    model = build_model(vocabulary, None if start is None else start.folder)
    if execution.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})

    stream = PackStream(
        packs,
        share,
        0 if start is None else start.progress.packs,
        settings.step * share.packs_per_step,
        lambda chosen: build_batch(chosen, vocabulary, execution.attention),
    )
    arguments = training_arguments(settings, execution, share.accumulation, scratch=work)
    trainer = SegmentTrainer(model, arguments, stream, settings.optimization)
    steps = StepLog(
        settings,
        None if start is None else start.folder,
        capacity=share.packs_per_step * packs.pack_length,
        show_every=execution.log_steps if processes.first else None,
    )
    measurements = Measurements(
        settings, trainer, heldout_batches(packs, settings, vocabulary, execution.attention), start
    )
    numerics = Numerics(processes.world_size, execution.zero_stage, execution.precision)
    writer = StateWriter(trainer, steps, measurements, processes, numerics, lock)
    saver = StateSaver(writer, work, execution.save_seconds)
    stopper = Stopper(deadline(job.shape.runtime_minutes, os.environ) if processes.first else None)
    load = partial(load_state, trainer=trainer, processes=processes, numerics=numerics)
    callback = SegmentCallback(trainer, steps, measurements, saver, stopper, start, load, settings.step)
    trainer.add_callback(callback)
    tracking = TrackingCallback(job, steps, measurements, processes.first)
    trainer.add_callback(tracking)
    with stopper.listening():
        trainer.train()
    saver.settle()
    if callback.interrupted is not None:
        saver.save_work(callback.step)
        raise Interrupted(
            f"run {settings.run} stopped by {callback.interrupted} at step {callback.step}/{settings.step}; "
            "all is saved, run the same command again to continue"
        )
    measurements.measure(callback.step, steps.tokens)
    if settings.step < settings.optimization.total_steps:
        saver.save(job.folder / "state", callback.step)
    tracking.close()
    return Trained(model, measurements.weights(), steps, measurements)

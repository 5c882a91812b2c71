"""Makes one checkpoint: a segment of a run, from the newest state before it; or the model that a run begins with.

A segment starts from the newest whole state of the same run, a checkpoint's or a save that a killed job left in the
work folder, else from the initialised model; so a new checkpoint in a config trains nothing again that lies before it.
Step 0 is the initialised model and needs no DeepSpeed.
"""

import shutil
import statistics
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import Manifest
from unix_lib.artefacts.saves import clear_saves
from unix_lib.config.train import CheckpointSettings, TrainExecution
from unix_lib.jobs.job import Job, lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.pack.reader import PackReader
from unix_lib.records.schema import Row
from unix_lib.tokenizers.vocabulary import Vocabulary
from unix_lib.train import heldout, log, state
from unix_lib.train.initial import initial_model
from unix_lib.train.keeping import drop_earlier_states
from unix_lib.train.processes import Processes, leave_together, prepare_deepspeed, this_process
from unix_lib.train.stream import Share

if TYPE_CHECKING:
    from torch import Tensor

    from unix_lib.models import UnixForCausalLM
    from unix_lib.train.segment import Trained

CheckpointJob = Job[CheckpointSettings, TrainExecution]


def make_checkpoint(job: CheckpointJob) -> Manifest | None:
    """Train up to the step of a checkpoint's recipe and write its artefact.

    Returns:
        The manifest; None on processes other than the first.

    Raises:
        TrainError: settings that don't fit together, a state that can't be loaded, or a loss that is not finite.
        LockError: another process took the run over, since this one had been suspended.
        UserError: the pretrained model that the run begins with was changed after the plan was made.
        Interrupted: told to stop before the end; everything is saved.
    """
    settings = job.settings
    processes = this_process(job.shape)
    share = Share(
        packs_per_step=settings.optimization.packs_per_step,
        micro_batch=job.execution.micro_batch,
        rank=processes.rank,
        world_size=processes.world_size,
    )
    if settings.step == 0:
        return _initial_checkpoint(job) if processes.first else None
    work = state.work_folder(job.results, settings.run, settings.run_digest)
    with ExitStack() as stack:
        lock = stack.enter_context(Lock(lock_path(work))) if processes.first else None
        prepare_deepspeed(processes)
        from unix_lib.train.segment import train_segment

        trained = train_segment(job, processes, share, work, lock, partial(initial_model, job))
        if lock is not None:
            lock.check()
        manifest = None if trained.weights is None else _write_checkpoint(job, processes, trained, trained.weights)
    if processes.first:
        clear_saves(work, settings.step)
        drop_earlier_states(job)
    leave_together(processes)
    return manifest


def _initial_checkpoint(job: CheckpointJob) -> Manifest:
    """Step 0."""
    import torch

    torch.set_num_threads(job.shape.threads)
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    model = initial_model(job, vocabulary)
    # With the kernels that run everywhere: step 0 is measured on whatever machine it is made.
    batches = heldout.heldout_batches(PackReader(job.input("pack")), job.settings, vocabulary, "sdpa")
    rows = [{"step": 0, "tokens": 0} | heldout.heldout_losses(model, batches)] if batches else []
    weights = {name: value.detach() for name, value in model.named_parameters()}
    return _write_artefact(job, model, weights, rows=[], heldout_rows=rows, tokens=0, best_step=None, metrics={})


def _write_checkpoint(
    job: CheckpointJob, processes: Processes, trained: "Trained", weights: "dict[str, Tensor]"
) -> Manifest:
    rows, best = trained.steps.rows, trained.measurements.best
    speeds = [row["tokens_per_second"] for row in rows]
    return _write_artefact(
        job,
        trained.model,
        weights,
        rows=rows,
        heldout_rows=trained.measurements.rows,
        tokens=trained.steps.tokens if best is None else best.tokens,
        best_step=None if best is None else best.step,
        metrics={
            "tokens_per_second": round(statistics.median(speeds)) if speeds else None,
            "peak_memory_mb": round(log.peak_memory_mb()),
            "world_size": processes.world_size,
        },
    )


def _write_artefact(
    job: CheckpointJob,
    model: "UnixForCausalLM",
    weights: "dict[str, Tensor]",
    *,
    rows: list[Row],
    heldout_rows: list[Row],
    tokens: int,
    best_step: int | None,
    metrics: dict[str, Any],
) -> Manifest:
    from unix_lib.models.checkpoint import write_model
    from unix_lib.models.start import parameter_counts

    settings = job.settings
    folder = job.folder / "model"
    shutil.rmtree(folder, ignore_errors=True)
    write_model(folder, model, weights)
    for path in sorted((job.input("text_tokenizer") / "tokenizer").iterdir()):
        shutil.copyfile(path, folder / path.name)
    Vocabulary.read(job.input("vocabulary")).write(folder)

    files: dict[str, int | None] = {f"model/{path.name}": None for path in folder.iterdir()}
    files["log.parquet"] = log.write_rows(job.folder / "log.parquet", rows, log.LOG_SCHEMA)
    files["heldout.parquet"] = log.write_rows(
        job.folder / "heldout.parquet", heldout.rows_for_checkpoint(heldout_rows, settings), log.HELDOUT_SCHEMA
    )
    log.write_rows(job.folder / log.SPEED, rows, log.SPEED_SCHEMA)  # never repeats
    if settings.freeze:
        trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        write_json(job.folder / "trainable.json", trainable)
        files["trainable.json"] = len(trainable)
    return job.finish(
        files,
        facts={
            "run": settings.run,
            "run_digest": settings.run_digest,
            "step": settings.step,
            "best_step": best_step,
            "tokens": tokens,
            "architecture": model.config.architecture,
            "seed": settings.seed,
            **{f"parameters_{part}": count for part, count in parameter_counts(model).items()},
        },
        metrics=metrics,
        beside=[log.SPEED],
    )

"""Make one checkpoint: a segment of a run, from the newest state before it.

What flows in: packs, the vocabulary, a recipe that names the run and the step. What flows out: `model/` for whoever
evaluates, `state/` for the next segment, the training log and the held-out losses so far.

A segment starts from the newest whole state of the same run, a checkpoint's or a save that a killed job left in the
work folder, else from the initialised model; so a new checkpoint in a config trains nothing again that lies before it.
Step 0 is the initialised model and needs no DeepSpeed.
"""

import logging
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.models import DecoderShape, PlanConfig
from unix_lib.config.outside import require_planned
from unix_lib.jobs.job import Job
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.vocabulary import Vocabulary
from unix_lib.train import heldout, log, state
from unix_lib.train.errors import Interrupted, TrainError
from unix_lib.train.lock import RunLock
from unix_lib.train.processes import Processes, prepare_deepspeed, this_process
from unix_lib.train.stream import PackStream, Share, warn_of_repeats

if TYPE_CHECKING:
    from torch import Tensor

    from unix_lib.models import UnixForCausalLM
    from unix_lib.train.segment import Segment

logger = logging.getLogger(__name__)


def make_checkpoint(job: Job) -> Manifest | None:
    """Train up to the step of a checkpoint's recipe and write its artefact.

    Returns:
        The manifest; None on processes other than the first.

    Raises:
        TrainError: settings that don't fit together, a state that can't be loaded, a loss that is not finite, or a
            run that another process is training.
        UserError: the pretrained model was changed after the plan was made.
        Interrupted: told to stop before the end; everything is saved.
    """
    settings, execution = job.settings, job.execution
    processes = this_process(execution["job"])
    share = Share(
        packs_per_step=settings["optimization"]["packs_per_step"],
        micro_batch=execution["micro_batch"],
        rank=processes.rank,
        world_size=processes.world_size,
    )
    if processes.first:
        require_planned(f"train.runs.{settings['run']}.start.path", settings["start"])
    if settings["step"] == 0:
        return _initial_checkpoint(job) if processes.first else None
    with ExitStack() as stack:
        work = state.work_folder(job.results, settings["run"], settings["run_digest"])
        lock = stack.enter_context(RunLock(work)) if processes.first else None
        segment = _trained(job, processes, share, work, lock)
        weights = segment.weights()
        manifest = None if weights is None else _write_checkpoint(job, segment, weights)
    if processes.first:
        state.clear_work(work, settings["step"])
    return manifest


def _initial_model(job: Job, vocabulary: Vocabulary) -> "UnixForCausalLM":
    """The model that a run begins with, its frozen tensors frozen."""
    from unix_lib.models.freezing import freeze
    from unix_lib.models.start import fresh_model, start_from_checkpoint, start_from_pretrained

    settings = job.settings
    start, seed, vision = settings["start"], settings["seed"], settings["vision_start"]
    plan: PlanConfig = TypeAdapter(PlanConfig).validate_python(settings["plan"])
    if start["kind"] == "fresh":
        model = fresh_model(DecoderShape(**start["shape"]), plan, vocabulary, seed)
    elif start["kind"] == "run":
        folder = job.input("start") / "model"
        model = start_from_checkpoint(folder, plan, vision, seed, start["image_rows"], vocabulary=vocabulary)
    else:
        path, revision, shape = start["path"], start["revision"], DecoderShape(**start["shape"])
        model = start_from_pretrained(path, revision, plan, vocabulary, vision, seed, shape=shape)
    freeze(model, settings.get("freeze", []))
    return model


def _heldout_batches(job: Job, packs: PackReader, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    from unix_lib.models.routing import build_batch

    reader = packs.heldout()
    if len(reader) == 0 and job.settings["keep_best_every"] is not None:
        raise TrainError(
            f"run {job.settings['run']}: keep_best_every needs held-out packs, and mixture "
            f"{job.settings['mixture']} has none; add a source with held-out records or remove keep_best_every"
        )
    # Step 0 is measured on whatever machine it is made.
    attention: Any = job.execution["attention"] if job.settings["step"] else "sdpa"
    return [build_batch([reader[index]], vocabulary, attention) for index in heldout.chosen_packs(len(reader))]


def _initial_checkpoint(job: Job) -> Manifest:
    """Step 0."""
    import torch

    torch.set_num_threads(job.execution["job"]["threads"])
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    model = _initial_model(job, vocabulary)
    batches = _heldout_batches(job, PackReader(job.input("pack")), vocabulary)
    rows = [{"step": 0, "tokens": 0} | heldout.heldout_losses(model, batches)] if batches else []
    weights = {name: value.detach() for name, value in model.named_parameters()}
    return _write_artefact(job, model, weights, rows=[], heldout_rows=rows, tokens=0, best_step=None, metrics={})


def _trained(job: Job, processes: Processes, share: Share, work: Path, lock: RunLock | None) -> "Segment":
    """Train the segment; afterwards the engine holds the checkpoint's weights."""
    settings, execution = job.settings, job.execution
    prepare_deepspeed(processes)
    import torch
    import transformers

    from unix_lib.models.gpu_attention import check_kernels
    from unix_lib.models.routing import build_batch
    from unix_lib.train.segment import Segment
    from unix_lib.train.trainer import Numerics, SegmentTrainer, training_arguments

    torch.set_num_threads(execution["job"]["threads"])
    transformers.set_seed(settings["seed"])
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    packs = PackReader(job.input("pack"))
    if processes.first:
        warn_of_repeats(settings["optimization"]["total_steps"] * share.packs_per_step, len(packs))
    model = _initial_model(job, vocabulary)
    numerics = Numerics(
        micro_batch=execution["micro_batch"],
        # Without ZeRO, DeepSpeed 0.19 keeps no float32 weights beside the bfloat16 ones, and small updates are lost.
        zero_stage=max(execution["zero_stage"], int(execution["precision"] == "bfloat16")),
        precision=execution["precision"],
        gradient_checkpointing=execution["gradient_checkpointing"],
        use_cpu=processes.use_cpu,
    )
    check_kernels(
        execution["attention"],
        torch.device("cpu" if numerics.use_cpu else "cuda"),
        torch.bfloat16 if numerics.precision == "bfloat16" else torch.float32,
        training=True,
    )
    if numerics.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    arguments = training_arguments(
        numerics,
        share.accumulation,
        settings["optimization"],
        seed=settings["seed"],
        end_step=settings["step"],
        scratch=work,
    )

    start = _agreed_start(job, processes)
    progress = replace(
        state.Progress() if start is None else start.progress,
        world_size=processes.world_size,
        zero_stage=numerics.zero_stage,
        precision=numerics.precision,
    )
    end = progress.packs if progress.stopped else settings["step"] * share.packs_per_step
    stream = PackStream(
        packs, share, progress.packs, end, lambda chosen: build_batch(chosen, vocabulary, execution["attention"])
    )
    segment = Segment(
        settings=settings,
        model=model,
        execution=execution,
        numerics=numerics,
        processes=processes,
        stream=stream,
        pack_length=packs.length,
        heldout_batches=_heldout_batches(job, packs, vocabulary),
        progress=progress,
        start=start,
        work=work,
        lock=lock,
        deadline=deadline(execution["job"]["runtime_minutes"], os.environ) if processes.first else None,
    )
    segment.trainer = SegmentTrainer(model, arguments, stream, settings["optimization"], segment)
    with segment.leaving_on_signals():
        segment.trainer.train()
    if segment.interrupted is not None:
        segment.save(work / f"step-{progress.step:05d}")
        raise Interrupted(
            f"run {settings['run']} stopped by {segment.interrupted} at step {progress.step}/{settings['step']}; "
            "all is saved, run the same command again to continue"
        )
    segment.measure(progress.step)
    if settings["step"] < settings["optimization"]["total_steps"]:
        segment.save(job.folder / "state")
    return segment


def _agreed_start(job: Job, processes: Processes) -> state.State | None:
    """The newest state, found by the first process for all."""
    import torch

    found: list[state.State | None] = [None]
    if processes.first:
        settings = job.settings
        found[0] = state.newest_state(job.results, settings["run"], settings["run_digest"], settings["step"])
    if processes.world_size > 1:
        torch.distributed.broadcast_object_list(found)
    return found[0]


def deadline(runtime_minutes: int, environment: Mapping[str, str]) -> float | None:
    """When to save and leave, on the `time.monotonic()` clock; None outside SLURM, where nobody ends a job.

    Args:
        runtime_minutes: the job's wall time, counted from now where SLURM doesn't tell when the job ends.
        environment: the process's environment variables.
    """
    if "SLURM_JOB_ID" not in environment:
        return None
    whole = runtime_minutes * 60.0
    end = _slurm_end(environment)
    left = whole if end is None else end - time.time()
    # ASSUME: a step, a measurement and a save take less than a twentieth of the job, and less than five minutes.
    return time.monotonic() + left - min(300.0, max(20.0, 0.05 * whole))


def _slurm_end(environment: Mapping[str, str]) -> float | None:
    """When SLURM ends this job, seconds since the epoch; asked of SLURM where the Snakemake plugin hides it."""
    if "SLURM_JOB_END_TIME" in environment:
        return float(environment["SLURM_JOB_END_TIME"])
    try:
        shown = subprocess.run(
            ["squeue", "--noheader", f"--jobs={environment['SLURM_JOB_ID']}", "--format=%e"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return datetime.fromisoformat(shown.stdout.strip()).timestamp()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _write_checkpoint(job: Job, segment: "Segment", weights: "dict[str, Tensor]") -> Manifest:
    progress, rows = segment.progress, segment.rows
    best = progress.best
    speeds = [row["tokens_per_second"] for row in rows]
    return _write_artefact(
        job,
        segment.model,
        weights,
        rows=rows,
        heldout_rows=segment.heldout_rows,
        tokens=progress.tokens if best is None else best.tokens,
        best_step=None if best is None else best.step,
        metrics={
            "tokens_per_second": round(statistics.median(speeds)) if speeds else None,
            "peak_memory_mb": round(log.peak_memory_mb()),
            "world_size": progress.world_size,
        },
    )


def write_model(folder: Path, model: "UnixForCausalLM", weights: "dict[str, Tensor]") -> None:
    """Write what `from_pretrained` reads: configs and one safetensors file, tied weights once.

    Not `save_pretrained`: that imports DeepSpeed to see whether the model is wrapped, seconds for a step-0 checkpoint.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    # The Trainer sets this to false in what it trains; whoever loads the checkpoint wants `generate()` with its cache.
    model.config.use_cache = True
    model.config.architectures = [type(model).__name__]
    model.config.dtype = next(iter(weights.values())).dtype
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.use_cache = True
        model.generation_config.save_pretrained(folder)
    save_file(
        {name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def _write_artefact(
    job: Job,
    model: "UnixForCausalLM",
    weights: "dict[str, Tensor]",
    *,
    rows: list[log.Row],
    heldout_rows: list[log.Row],
    tokens: int,
    best_step: int | None,
    metrics: dict[str, Any],
) -> Manifest:
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
        job.folder / "heldout.parquet",
        heldout.rows_for_checkpoint(
            heldout_rows,
            settings["step"],
            total_steps=settings["optimization"]["total_steps"],
            keep_best_every=settings["keep_best_every"],
        ),
        log.HELDOUT_SCHEMA,
    )
    log.write_rows(job.folder / "speed.parquet", rows, log.SPEED_SCHEMA)  # never repeats: not in the manifest
    if "freeze" in settings:
        trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        write_json(job.folder / "trainable.json", trainable)
        files["trainable.json"] = len(trainable)
    counts = parameter_counts(model)
    return job.finish(
        files,
        facts={
            "run": settings["run"],
            "run_digest": settings["run_digest"],
            "step": settings["step"],
            "best_step": best_step,
            "tokens": tokens,
            "architecture": model.config.architecture,
            "seed": settings["seed"],
            "parameters_total": counts["total"],
            "parameters_text": counts["text"],
            "parameters_vision": counts["vision"],
        },
        metrics=metrics,
    )

"""What happens around each step of a segment: log, measure, save, stop.

A `Segment` rides on the Trainer as a callback. It holds the run's progress and its tables, loads the state that the
segment starts from, and writes states. All decisions that depend on a clock or a signal are taken together with the
step's one synchronisation, so all processes take them at the same step.
"""

import logging
import math
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unix_lib.artefacts.sealed import seal
from unix_lib.models import UnixForCausalLM
from unix_lib.models.routing import move_batch
from unix_lib.train import heldout, log, state
from unix_lib.train.errors import TrainError
from unix_lib.train.lock import RunLock
from unix_lib.train.processes import Processes
from unix_lib.train.state import Progress, State
from unix_lib.train.stream import PackStream
from unix_lib.train.trainer import Numerics, SegmentTrainer

logger = logging.getLogger(__name__)

TAG = "state"  # DeepSpeed's name for the checkpoint inside its folder


def barrier() -> None:
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        torch.distributed.barrier()


class Segment(TrainerCallback):
    """One segment's bookkeeping."""

    trainer: SegmentTrainer

    def __init__(
        self,
        *,
        settings: dict[str, Any],
        model: UnixForCausalLM,
        execution: dict[str, Any],
        numerics: Numerics,
        processes: Processes,
        stream: PackStream,
        pack_length: int,
        heldout_batches: list[dict[str, Any]],
        progress: Progress,
        start: State | None,
        work: Path,
        lock: RunLock | None,
        deadline: float | None,
    ) -> None:
        """Prepare a segment.

        Args:
            settings: the checkpoint recipe's settings. model: the initialised model.
            execution: `TrainConfig`'s numeric and operational keys. numerics: those in force.
            stream: the segment's packs. pack_length: capacity of a pack, tokens.
            heldout_batches: what the held-out loss is measured on.
            progress: where the run stands. start: the state it stands at, None for the initialised model.
            work: folder of the saves. lock: held by the first process.
            deadline: `time.monotonic()` at which to save and leave.
        """
        self.settings, self.model, self.execution, self.numerics = settings, model, execution, numerics
        self.processes, self.stream = processes, stream
        self.pack_length, self.heldout_batches = pack_length, heldout_batches
        self.progress, self.start, self.work, self.lock, self.deadline = progress, start, work, lock, deadline
        self.rows: list[log.Row] = [] if start is None else log.read_rows(start.folder / state.LOG)
        self.heldout_rows: list[log.Row] = [] if start is None else log.read_rows(start.folder / state.HELDOUT)
        self.best_weights: dict[str, Tensor] | None = None
        if start is not None and progress.best is not None and processes.first:
            self.best_weights = load_file(start.folder / state.BEST)
        self.interrupted: str | None = None  # why the segment ends early
        self.signalled: str | None = None
        self.step_began = self.saved_at = time.monotonic()
        self.seconds, self.shown_tokens, self.shown_seconds = 0.0, 0, 0.0

    # -- callbacks of the Trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._report_gradient_norm()
        if self.start is not None:
            self._load(self.start)
        self.trainer.set_step(self.progress.step)
        if self.start is None:
            self.measure(0)
        self.step_began = self.saved_at = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        step = state.global_step
        now = time.monotonic()
        out_of_time = self.deadline is not None and now > self.deadline
        save_due = self.processes.first and now - self.saved_at >= self.execution["save_seconds"]
        *counts, leave_by_signal, leave_in_time, save_now = self.trainer.take_counts(
            float(self.signalled is not None), float(out_of_time), float(save_due)
        )
        self._log(step, counts, seconds=now - self.step_began)
        self.progress.step, self.progress.packs = step, step * self.stream.share.packs_per_step
        if self._measured_at(step) and step < self._last_step:
            self.measure(step)
        if self.progress.stopped:
            control.should_training_stop = True
        elif step < self._last_step and (leave_by_signal or leave_in_time):
            self.interrupted = (self.signalled or "a signal") if leave_by_signal else "the job's time limit"
            control.should_training_stop = True
        elif step < self._last_step and save_now:
            self.save(self.work / f"step-{step:05d}")
        if self.lock is not None:
            self.lock.refresh_if_due()
        self.step_began = time.monotonic()

    # -- measurements

    @property
    def _last_step(self) -> int:
        return self.settings["step"]

    def _measured_at(self, step: int) -> bool:
        return heldout.measured_at(
            step,
            total_steps=self.settings["optimization"]["total_steps"],
            keep_best_every=self.settings["keep_best_every"],
        )

    def measure(self, step: int) -> None:
        """Measure the held-out loss, and keep the weights if the run keeps its best."""
        if not self.heldout_batches or any(row["step"] == step for row in self.heldout_rows):
            return
        measured = [heldout.heldout_losses(self.trainer.engine, self._on_device())]
        if self.processes.world_size > 1:  # the same to the last bit everywhere: decisions hang on it
            torch.distributed.broadcast_object_list(measured)
        losses = measured[0]
        self.heldout_rows.append({"step": step, "tokens": self.progress.tokens} | losses)
        if self.settings["keep_best_every"] is None or losses["loss"] is None:
            return
        self.progress.best, is_best = heldout.judge(self.progress.best, step, losses["loss"], self.progress.tokens)
        if is_best:
            self.best_weights = self._current_weights()
        if heldout.has_risen(self.progress.best) and step < self._last_step:
            self.progress.stopped = True
            logger.info(
                "%s step %d: held-out loss %.4f has not improved on %.4f (step %d) for %d measurements: training stops",
                self.settings["run"], step, losses["loss"], self.progress.best.loss, self.progress.best.step,
                self.progress.best.worse,
            )  # fmt: skip

    def weights(self) -> dict[str, Tensor] | None:
        """The weights that the checkpoint is to hold: the best, or the last. Called on all processes together."""
        return self._current_weights() if self.progress.best is None else self.best_weights

    def _current_weights(self) -> dict[str, Tensor] | None:
        """A copy of the weights on the CPU, tied ones once; None on other processes than the first."""
        engine, model = self.trainer.engine, self.model
        whole: dict[str, Tensor] = dict(model.named_parameters())
        if engine.zero_optimization_partition_weights():
            whole = {name: value for name, value in gathered(engine).items() if name in whole}
        return {name: value.detach().cpu().clone() for name, value in whole.items()} if self.processes.first else None

    def _on_device(self) -> Iterator[dict[str, Any]]:
        for batch in self.heldout_batches:
            yield move_batch(batch, self.trainer.args.device)

    def _log(self, step: int, counts: list[float], seconds: float) -> None:
        text_sum, image_sum, text, image, tokens = counts
        losses = log.losses_of(text_sum, image_sum, int(text), int(image))
        if losses["loss"] is not None and not math.isfinite(losses["loss"]):
            raise TrainError(
                f"run {self.settings['run']}: the loss of step {step} is {losses['loss']}; lower "
                "optimization.learning_rate or gradient_clip, or raise warmup_ratio. Saves up to the step before stay"
            )
        share = self.stream.share
        norm = self.trainer.engine.get_global_grad_norm()
        self.progress.tokens += int(tokens)
        peak = self.settings["optimization"]["learning_rate"]
        row = {"step": step, "tokens": self.progress.tokens} | losses | {
            "grad_norm": None if norm is None else float(norm),
            "learning_rate": peak * self.trainer.factor(step - 1),
            "padding_share": 1.0 - tokens / (share.packs_per_step * self.pack_length),
            "tokens_per_second": tokens / max(seconds, 1e-9),
            "peak_memory_mb": log.peak_memory_mb(),
        }  # fmt: skip
        self.rows.append(row)
        self.shown_tokens += int(tokens)
        self.shown_seconds += seconds
        every = self.execution["log_steps"]
        if self.processes.first and (step % every == 0 or step == self._last_step):
            steps = min(every, len(self.rows))
            logger.info(
                log.progress_line(
                    self.settings["run"],
                    row,
                    last_step=self._last_step,
                    seconds_per_step=self.shown_seconds / steps,
                    tokens_per_second=self.shown_tokens / max(self.shown_seconds, 1e-9),
                )
            )
            self.shown_tokens, self.shown_seconds = 0, 0.0

    # -- states

    def save(self, folder: Path) -> None:
        """Write a state, on all processes together; it exists when it is whole."""
        part = folder.with_name(f".{folder.name}")
        first = self.processes.first
        if first:
            if self.lock is not None:
                self.lock.refresh()
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        barrier()
        self.trainer.engine.save_checkpoint(str(part / state.DEEPSPEED), tag=TAG, save_latest=False)
        torch.save(_random_state(), part / f"random-{self.processes.rank:05d}.pt")
        if first:
            log.write_state_rows(part / state.LOG, self.rows)
            log.write_rows(part / state.HELDOUT, self.heldout_rows, log.HELDOUT_SCHEMA)
            if self.best_weights is not None:
                save_file(self.best_weights, part / state.BEST)
            self.progress.next_batch = self.stream.fingerprint(self.progress.packs)
            state.write_progress(part, self.progress)
        barrier()
        if first:
            seal(part)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
            if folder.parent == self.work:
                state.prune_saves(self.work)
        barrier()
        self.saved_at = time.monotonic()

    def _load(self, start: State) -> None:
        self._check_numerics(start)
        if self.stream.fingerprint(self.progress.packs) != self.progress.next_batch:
            raise TrainError(
                f"{start.folder}: the packs at position {self.progress.packs} are not those the run was trained with; "
                "delete the pack artefact and this run's checkpoints and saves, and run again"
            )
        loaded, _ = self.trainer.engine.load_checkpoint(
            str(start.folder / state.DEEPSPEED), tag=TAG, load_lr_scheduler_states=False
        )
        if loaded is None:
            raise TrainError(f"{start.folder}: DeepSpeed could not load it; delete it to start from an earlier state")
        random = start.folder / f"random-{self.processes.rank:05d}.pt"
        if random.is_file():
            _restore_random_state(torch.load(random, weights_only=True))
        logger.info("%s continues at step %d from %s", self.settings["run"], self.progress.step, start.folder)

    def _check_numerics(self, start: State) -> None:
        """DeepSpeed's shards fit the number of processes that wrote them."""
        saved = (start.progress.zero_stage, start.progress.precision, start.progress.world_size)
        wanted = (self.numerics.zero_stage, self.numerics.precision, self.processes.world_size)
        if saved[:2] != wanted[:2] or (saved != wanted and saved[0] > 0):
            raise TrainError(
                f"{start.folder} was written with ZeRO stage {saved[0]}, {saved[1]} and {saved[2]} process(es), this "
                f"job has stage {wanted[0]}, {wanted[1]} and {wanted[2]}; set train back to those values, or delete "
                "that folder to train from an earlier state"
            )

    def _report_gradient_norm(self) -> None:
        """Without ZeRO, DeepSpeed clips and forgets the norm; keep it for the log."""
        if self.numerics.zero_stage:
            return
        engine = self.trainer.engine

        def clip() -> None:
            engine._global_grad_norm = torch.nn.utils.clip_grad_norm_(
                engine.module.parameters(), engine.gradient_clipping()
            )

        engine.clip_fp32_gradients = clip

    @contextmanager
    def leaving_on_signals(self) -> Iterator[None]:
        """Turn the first SIGTERM or SIGINT into a save at the end of the step; a second one kills as usual.

        Not under a launcher: it passes on what it gets, and whoever signals the whole job signals twice.
        """
        launched = "TORCHELASTIC_RUN_ID" in os.environ
        before: dict[int, Any] = {
            number: signal.getsignal(number) for number in (int(signal.SIGTERM), int(signal.SIGINT))
        }

        def note(number: int, _: FrameType | None) -> None:
            self.signalled = signal.Signals(number).name
            if not launched:
                signal.signal(number, before[number])

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def gathered(engine: Any) -> dict[str, Tensor]:
    """All weights of an engine that keeps them in shards (ZeRO 3); empty on other processes than the first."""
    return engine._zero3_consolidated_16bit_state_dict() or {}


def _random_state() -> dict[str, Any]:
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_random_state(saved: dict[str, Any]) -> None:
    torch.set_rng_state(saved["cpu"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])

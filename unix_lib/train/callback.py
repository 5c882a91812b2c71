"""Gives each part of a segment its turn around the Trainer's steps, the same on all processes.

What hangs on a clock or a signal of one process travels with the step's one synchronisation, so that all processes
measure, save and stop after the same step.
"""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unix_lib.train.log import StepLog
from unix_lib.train.measurements import Measurements
from unix_lib.train.saver import StateSaver
from unix_lib.train.state import State
from unix_lib.train.stopping import Stopper
from unix_lib.train.trainer import SegmentTrainer


class SegmentCallback(TrainerCallback):
    """After each step: log it, measure, stop or save."""

    def __init__(  # noqa: PLR0917
        self,
        trainer: SegmentTrainer,
        steps: StepLog,
        measurements: Measurements,
        saver: StateSaver,
        stopper: Stopper,
        start: State | None,
        load: Callable[[State], None],
        last_step: int,
    ) -> None:
        """Join the parts; `start` is the state that the segment loads to start from, None the initialised model."""
        self.trainer, self.steps, self.measurements = trainer, steps, measurements
        self.saver, self.stopper, self.last_step = saver, stopper, last_step
        self.start, self.load = start, load
        self.step = 0 if start is None else start.progress.step
        self.interrupted: str | None = None  # why the segment ended before its last step
        self._step_began = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer.keep_gradient_norm()
        if self.start is not None:
            self.load(self.start)
        self.trainer.set_step(self.step)
        if self.start is None:
            self.measurements.measure(0, tokens=0)
        self.saver.start_clock()
        self._step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        step = self.step = state.global_step
        seconds = time.monotonic() - self._step_began
        wishes = (*self.stopper.wishes(), *self.saver.wishes())
        *counts, signals, late, save_due, saved = self.trainer.take_counts(*wishes)
        self.steps.add(
            step,
            counts,
            seconds=seconds,
            grad_norm=self.trainer.gradient_norm(),
            learning_rate=self.trainer.learning_rate_at(step - 1),
        )
        if step < self.last_step:
            if self.measurements.due(step):
                self.measurements.measure(step, self.steps.tokens)
            if not self.measurements.risen:
                self.interrupted = self.stopper.reason(signals, late)
            if self.measurements.risen or self.interrupted is not None:
                control.should_training_stop = True
            else:
                self.saver.after_step(step, save_due, saved)
        self._step_began = time.monotonic()

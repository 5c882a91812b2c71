"""Which checkpoints an analysis measures, and which it names that no run has."""

from collections.abc import Iterator

from unix_lib.config.analyze import Planned
from unix_lib.config.train import TrainConfig


def steps_that_are_none(train: TrainConfig, runs: list[str], steps: list[int]) -> Iterator[str]:
    """A line for each step that is no checkpoint of one of the runs; without runs, of every compared one."""
    for name in runs or [name for name, run in train.runs.items() if run.compare]:
        checkpoints = train.runs[name].checkpoints
        for step in steps:
            if step not in checkpoints:
                yield (
                    f"steps: {step} is no checkpoint of run '{name}', which has {checkpoints}; add it there or "
                    "take it out here"
                )


def measured_checkpoints(planned: Planned, runs: list[str], steps: list[int]) -> Iterator[tuple[str, int]]:
    """(run, step) of each; without runs of every compared one, without steps all but 0."""
    for run in runs or planned.compared_runs():
        for step in steps or [step for step in planned.checkpoint_steps(run) if step]:
            yield run, step

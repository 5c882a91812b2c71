"""Why a segment may end before its last step: a signal, or the time limit of its job."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any


def deadline(runtime_minutes: int, environment: Mapping[str, str]) -> float | None:
    """When to save and leave, on the `time.monotonic()` clock; None outside SLURM, where nobody ends a job.

    `runtime_minutes`, the job's wall time, counts from now where SLURM doesn't tell when the job ends.
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


class Stopper:
    """Notes what asks this process to stop; the processes stop together, once each knows of the others' wishes."""

    def __init__(self, deadline: float | None) -> None:
        """`deadline` is on the `time.monotonic()` clock; None has none."""
        self._deadline = deadline
        self._signal: str | None = None

    def wishes(self) -> tuple[float, float]:
        """1 for each reason that this process has to stop: a signal, the time limit."""
        late = self._deadline is not None and time.monotonic() > self._deadline
        return float(self._signal is not None), float(late)

    def reason(self, signals: float, late: float) -> str | None:
        """Why all processes stop now, given the sums of their wishes; None where they go on."""
        if signals:
            return self._signal or "a signal"
        return "the job's time limit" if late else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn the first SIGTERM or SIGINT into a wish; a second one kills as usual.

        Not under a launcher: it passes on what it gets, and whoever signals the whole job signals twice.
        """
        launched = "TORCHELASTIC_RUN_ID" in os.environ
        before: dict[int, Any] = {
            number: signal.getsignal(number) for number in (int(signal.SIGTERM), int(signal.SIGINT))
        }

        def note(number: int, _: FrameType | None) -> None:
            self._signal = signal.Signals(number).name
            if not launched:
                signal.signal(number, before[number])

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

"""`follow`: run a command, such as Snakemake, and show below its lines how far it is and how long it will take.

The command decides everything: its lines pass through, signals reach it, its exit status is this one's. Without a
terminal (a pipe, a CI log) this process becomes the command, and nothing is different. What can't be read of the
experiment is not shown, and stops nothing.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.status_view import short_view
from unix_lib.watch.snapshot import Watcher

SECONDS = 2.0  # between two looks
PASSED_ON = (signal.SIGTERM, signal.SIGHUP)  # Ctrl-C reaches the command by itself


def run(config: Path, command: list[str], screen: Console) -> int:
    """Run the command to its end; returns its exit status."""
    if not screen.is_terminal or screen.is_dumb_terminal:
        sys.stdout.flush()
        os.execvp(command[0], command)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # a handler, which the command does not inherit
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def pass_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    ended = threading.Event()
    with Live(console=screen, transient=True, refresh_per_second=2) as live:
        assert process.stdout is not None
        reader = threading.Thread(target=_pass_through, args=(process.stdout, screen), daemon=True)
        reader.start()
        threading.Thread(target=_look, args=(config, live.update, ended), daemon=True).start()
        status = process.wait()
        reader.join(SECONDS)  # a job that outlives the command may keep the pipe open
        ended.set()
    if status < 0:  # by a signal: so is this one
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _pass_through(lines: IO[bytes], screen: Console) -> None:
    for line in lines:
        screen.print(Text.from_ansi(line.decode(errors="replace").rstrip("\n")), soft_wrap=True)


def _look(config: Path, show: Callable[..., None], ended: threading.Event) -> None:
    try:
        experiment = PlannedExperiment.load(config)
        watcher = Watcher(experiment.plan, experiment.results, len(os.sched_getaffinity(0)))
        while not ended.wait(SECONDS):
            show(short_view(watcher.snapshot()))
    except Exception as error:  # whatever it is, the command has more to say of it
        show(Text(f"no progress to show: {error}", "dim"))

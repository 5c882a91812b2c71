"""The display below a command changes nothing of it: its lines, its exit status, what a signal does."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENDS = "print('hello', flush=True); raise SystemExit(3)"
WAITS = """
import time
try:
    print("hello", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    raise SystemExit(7)
"""


def follow(code: str) -> list[str]:
    """The command line that follows a Python program, for a config that isn't there."""
    return [sys.executable, "-m", "unix_lib", "follow", "config/none.yaml", "--", sys.executable, "-c", code]


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ |= {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
            os.execv(command[0], command)
        self.shown = b""

    def read_until(self, text: bytes) -> None:
        while text not in self.shown:
            self.shown += os.read(self._screen, 4096)

    def end(self) -> int:
        """Wait for the end, reading on."""
        while True:
            try:
                more = os.read(self._screen, 4096)
            except OSError:  # nobody has it open any more
                break
            if not more:
                break
            self.shown += more
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def interrupt(self) -> None:
        os.write(self._screen, b"\x03")


@pytest.fixture
def terminal() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        os.close(one._screen)


def test_without_a_terminal_the_command_is_all_there_is() -> None:
    done = subprocess.run(follow(ENDS), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello\n", "")


def test_in_a_terminal_its_lines_and_its_exit_status_pass(terminal: list[Terminal]) -> None:
    terminal.append(Terminal(follow(ENDS)))
    assert terminal[0].end() == 3
    assert b"hello" in terminal[0].shown


def test_ctrl_c_reaches_the_command_which_decides(terminal: list[Terminal]) -> None:
    terminal.append(Terminal(follow(WAITS)))
    terminal[0].read_until(b"hello")
    terminal[0].interrupt()
    assert terminal[0].end() == 7


def test_sigterm_is_passed_on_and_ends_both_alike(terminal: list[Terminal]) -> None:
    terminal.append(Terminal(follow(WAITS)))
    terminal[0].read_until(b"hello")
    time.sleep(0.1)
    os.kill(terminal[0].pid, signal.SIGTERM)
    assert terminal[0].end() == -signal.SIGTERM

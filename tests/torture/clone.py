"""A copy of the project in which damage is done: its files, and the processes that are started in it.

Every process of a clone carries the path of the clone's list of events in its environment, so that those left behind
by a killed driver are found and no other process is ever touched.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unix_lib.config import load_experiment
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import write_plan

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path("tests/torture/experiment.yaml")
CONFIGS = ROOT / CONFIG.parent
HOOKS = CONFIG.parent / "hooks"
CODE = ("workflow", "rules", "scripts", "unix_lib", "config")
STATE = ("results", "data", "answers", ".snakemake", CONFIG.parent.as_posix())  # what a case may damage
SECONDS_TO_END = 900.0  # a process that takes longer hangs; two cores may be shared with others


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int  # negative: the signal
    output: str  # of stdout and stderr


@dataclass(frozen=True)
class Event:
    """One line that a job wrote of itself; see hooks/sitecustomize.py."""

    artefact: str
    what: str
    path: str  # below the results
    at: float  # seconds


class Clone:
    """A project folder with one experiment."""

    def __init__(self, folder: Path, config: Path = CONFIG) -> None:
        self.folder = folder
        self.config = config  # below the folder
        self.results = folder / "results" / "torture"
        self.events_file = folder / "events.tsv"
        self._outputs = 0

    def copy_code(self) -> None:
        """Have today's code in the clone."""
        for name in (*CODE, HOOKS.as_posix()):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.folder / name, ignore=ignore, symlinks=True)
        for path in CONFIGS.glob("*.yaml"):
            shutil.copy(path, self.folder / CONFIG.parent)

    def reset(self, undisturbed: "Clone") -> None:
        """Make everything that a case may damage as it is in another clone."""
        self.end_processes()
        for name in STATE:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            if (undisturbed.folder / name).exists():
                copy_tree(undisturbed.folder / name, self.folder / name)
        self.events_file.unlink(missing_ok=True)
        for output in self.folder.glob("output-*.txt"):
            output.unlink()

    # -- what it plans

    def plan(self, config: Path | None = None) -> Plan:
        return resolve(load_experiment(self.folder / (config or self.config)), self.folder)

    def write_plan(self, plan: Plan) -> None:
        write_plan(plan, self.results)

    # -- processes

    def start(
        self, command: list[str], *, user: int | None = None, **variables: str
    ) -> tuple["subprocess.Popen[bytes]", Path]:
        """Start a process in a group of its own; returns it and the file of what it prints."""
        self._outputs += 1
        output = self.folder / f"output-{self._outputs}.txt"
        environment = os.environ | {
            "PYTHONPATH": f"{self.folder / HOOKS}{os.pathsep}{self.folder}",
            "TORTURE_EVENTS": str(self.events_file),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "MPLBACKEND": "Agg",
        }
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
            environment["HOME"] = str(self.folder)
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        with open(output, "wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, output

    def run(self, command: list[str], *, user: int | None = None, **variables: str) -> Ended:
        """Run a process to its end; one that hangs is killed."""
        return self.wait(*self.start(command, user=user, **variables))

    def wait(self, process: "subprocess.Popen[bytes]", output: Path) -> Ended:
        """Wait for a process that was started."""
        try:
            code = process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.end_processes()
            process.wait()
            return Ended(-signal.SIGKILL, f"hung for {SECONDS_TO_END:.0f} s\n" + _text(output))
        return Ended(code, _text(output))

    def driver(self, *arguments: str) -> list[str]:
        """The command of a driver, as the Makefile has it."""
        fixed = ["--cores", "2", "--quiet", "rules", "--configfile", str(self.config)]
        return [sys.executable, "-m", "snakemake", *fixed, *arguments, "--", "all"]

    def processes(self) -> list[int]:
        """Processes that were started in this clone and live; zombies don't."""
        mark = f"TORTURE_EVENTS={self.events_file}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment, status = (folder / "environ").read_bytes(), (folder / "stat").read_text()
            except OSError:
                continue
            if mark in environment + b"\0" and status.rpartition(")")[2].split()[0] != "Z":
                found.append(int(folder.name))
        return found

    def end_processes(self) -> None:
        """Kill whatever still runs in this clone."""
        while alive := self.processes():
            for process in alive:
                kill(process)
            time.sleep(0.02)

    def let_end(self, seconds: float = SECONDS_TO_END) -> bool:
        """Wait until nothing runs in this clone any more; returns whether that came to pass."""
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    # -- what happened

    def events(self) -> Iterator[Event]:
        if self.events_file.exists():
            for line in self.events_file.read_text(encoding="utf-8").splitlines():
                artefact, what, path, at = line.split("\t")
                yield Event(artefact, what, path, float(at))

    def steps(self) -> Counter[str]:
        """Optimizer steps by artefact."""
        return Counter(event.artefact for event in self.events() if event.what == "step")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that another user's processes can reach."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def kill(process: int, *, group: bool = False) -> None:
    """SIGKILL, to a process or to its whole group; one that is gone already is none."""
    try:
        (os.killpg if group else os.kill)(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with modes, times and links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")

"""What a machine refuses is one line that says what, where and what to do; a fault of ours stays a traceback."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from unix_lib.jobs import command_line, machine
from unix_lib.jobs.job import Job
from unix_lib.jobs.machine import REMEDIES, refusal
from unix_lib.train.launch import launch_processes


@pytest.mark.parametrize("number", sorted(REMEDIES))
def test_whatever_a_machine_refuses_is_named_with_its_remedy(tmp_path: Path, number: int) -> None:
    error = OSError(number, os.strerror(number), "some/file")
    assert str(refusal(error, tmp_path)) == (
        f"some/file: {os.strerror(number)}; {REMEDIES[number]}, then run again: what is finished stays"
    )


@pytest.mark.parametrize("what", ["the log", "the results"])
def test_a_script_that_may_not_write_says_so(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has a log, and before a training has its processes."""
    refused = OSError(errno.EACCES, "Permission denied", "some/folder")

    def refuse(*_: Any) -> Any:
        raise refused

    given = {name: tmp_path / "results" / "recipes" / "train" / f"{name}.json" for name in ("recipe", "execution")}
    given["execution"].parent.mkdir(parents=True)
    given["execution"].write_text("{}")
    options = [f"--{name}={path}" for name, path in (given | {"output": tmp_path / "manifest.json"}).items()]
    monkeypatch.setattr(sys, "argv", ["train.py", *options, f"--log={tmp_path / 'log'}"])
    monkeypatch.setattr(command_line, "new_attempt", refuse)
    monkeypatch.setattr(Job, "from_files", refuse)
    with pytest.raises(SystemExit, match=r"^MachineError: some/folder: Permission denied; give this user access"):
        command_line.run_script("train", "") if what == "the log" else launch_processes()


def test_what_another_library_says_of_it_is_understood(tmp_path: Path) -> None:
    told = refusal(
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), tmp_path
    )
    assert str(told).startswith(f"{tmp_path}: No space left on device; make room there")
    try:
        try:
            raise OSError(errno.EROFS, "Read-only file system", "log")
        except OSError as error:
            raise RuntimeError("could not save") from error
    except RuntimeError as error:
        told = refusal(error, tmp_path)
    assert str(told).startswith("log: Read-only file system")


def test_a_library_that_says_nothing_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    assert refusal(error, tmp_path) is None

    def usage(_: Any) -> Any:
        return type("Usage", (), {"free": 3_000_000})

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    told = refusal(error, tmp_path)
    assert str(told) == f"{tmp_path}: only 3 MB left on the disk (RuntimeError); make room, then run again"


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("b"), FileNotFoundError(errno.ENOENT, "No such file")])
def test_a_fault_of_ours_is_none_of_the_machine_s(tmp_path: Path, error: Exception) -> None:
    assert refusal(error, tmp_path) is None


def test_a_real_limit_is_one_line(tmp_path: Path) -> None:
    """A file may not grow beyond the limit that this process sets itself."""
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom unix_lib.jobs.machine import refusal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "folder = Path(sys.argv[1])\n"
        "try:\n    (folder / 'file').write_bytes(bytes(2000))\n"
        "except Exception as error:\n    print(refusal(error, folder))\n"
    )
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"{tmp_path}: File too large; raise the limit of a file's size")

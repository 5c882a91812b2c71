"""Settings of every test: one thread per process, since two processes on two cores must not fight over them, and an
environment without what an earlier test of the same process left in it (training starts a process group, and a command
started later would join it)."""

import builtins
import errno
import fcntl
import gc
import io
import json
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.project import Project, fake_project

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
AT_START = dict(os.environ)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, and keep it off what was imported then: half a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: a file is one process's, and the last one would keep it at work alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def environment_of_the_start() -> Iterator[None]:
    """Take back what the test, or a fixture of its module, changed in the process's environment."""
    yield
    for name in os.environ.keys() - AT_START.keys():
        if not name.startswith("PYTEST_"):  # pytest's own
            del os.environ[name]
    os.environ.update(AT_START)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a file that nobody may read, root, under whom tests may run, included."""
    closed: set[str] = set()
    opens = io.open

    def open_others(file: Any, *arguments: Any, **more: Any) -> Any:
        if not isinstance(file, int) and os.fsdecode(file) in closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(file))
        return opens(file, *arguments, **more)

    monkeypatch.setattr(builtins, "open", open_others)
    monkeypatch.setattr(io, "open", open_others)

    def close(path: Path) -> None:
        closed.add(str(path))
        with pytest.raises(PermissionError):
            path.read_bytes()

    return close


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    """A project that ran once from nothing, for all of pytest's processes, and what that made.

    Copy it before changing it.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with open(folder / "project.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "project.json"
        if not made.exists():
            made.write_text(json.dumps(fake_project(folder / "project").run()))
    return Project(folder / "project"), json.loads(made.read_text())


@pytest.fixture
def project(finished_project: tuple[Project, list[str]], tmp_path: Path) -> Project:
    """A finished project of the test's own."""
    return finished_project[0].copy_to(tmp_path / "clone")

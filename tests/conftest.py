"""Settings of every test: one thread per process, since two processes on two cores must not fight over them, and an
environment without what an earlier test of the same process left in it (training starts a process group, and a command
started later would join it)."""

import os
from collections.abc import Iterator

import pytest

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
AT_START = dict(os.environ)


@pytest.fixture(autouse=True)
def environment_of_the_start() -> Iterator[None]:
    """Take back what the test, or a fixture of its module, changed in the process's environment."""
    yield
    for name in os.environ.keys() - AT_START.keys():
        if not name.startswith("PYTEST_"):  # pytest's own
            del os.environ[name]
    os.environ.update(AT_START)

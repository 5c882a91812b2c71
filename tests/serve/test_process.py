"""How workers are started: a GPU each, or a share of the cores; and what the HTTP process does not load."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unix_lib.__main__ import app
from unix_lib.checkpoints.errors import CheckpointError
from unix_lib.serve.process import launches
from unix_lib.serve.settings import ServeError, Serving


def seen(monkeypatch: pytest.MonkeyPatch, visible: str | None, **settings: object) -> list[str | None]:
    """The GPUs that each worker sees; None leaves it to what is set."""
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    serving = Serving(Path("x"), "x", workers=2, **settings)  # type: ignore[arg-type]
    return [launch.environment.get("CUDA_VISIBLE_DEVICES") for launch in launches(serving)]


def test_each_worker_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, None) == ["0", "1"]
    assert seen(monkeypatch, "3,GPU-5,6") == ["3", "GPU-5"]
    assert seen(monkeypatch, "") == seen(monkeypatch, "3", device="cpu") == [None, None]
    with pytest.raises(ServeError, match="2 workers, but CUDA_VISIBLE_DEVICES names 1"):
        seen(monkeypatch, "3")


def test_the_http_process_loads_no_torch() -> None:
    script = "import sys, unix_lib.commands.serve; print({'torch', 'transformers', 'pandas'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"


def test_what_can_not_be_served_is_said_before_anything_is_started(tmp_path: Path) -> None:
    for error, message, options in (
        (CheckpointError, "no finished checkpoint here", ()),
        (ServeError, "set the environment variable NO_SUCH_KEY", ("--key-variable", "NO_SUCH_KEY")),
    ):
        result = CliRunner().invoke(app, ["serve", str(tmp_path), *options])
        assert isinstance(result.exception, error) and message in str(result.exception)

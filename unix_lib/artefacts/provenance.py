"""Where a result came from: code, package versions, machine and time. Recorded, never hashed."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

# Those that shape numbers.
PACKAGES = ("torch", "transformers", "deepspeed", "accelerate", "lm-eval", "pyarrow", "pandas", "numpy", "matplotlib")


@cache
def code_version() -> dict[str, Any]:
    """Commit of the code and whether it was changed since; empty outside a git checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def installed_version(package: str) -> str | None:
    """Version of a package, read from metadata: nothing is imported; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def provenance_now(execution: dict[str, Any], metrics: dict[str, Any], wall_seconds: float | None) -> dict[str, Any]:
    """The provenance half of a manifest, as of now."""
    return {
        "code": code_version(),
        "packages": {"python": platform.python_version()}
        | {name: version for name in PACKAGES if (version := installed_version(name))},
        "host": platform.node(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": None if wall_seconds is None else round(wall_seconds, 2),
        "execution": execution,
        "metrics": metrics,
    }

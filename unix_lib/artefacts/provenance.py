"""Where a result came from: code, package versions, machine and time. Recorded, never hashed."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from unix_lib.artefacts.code import code_at_start, code_version
from unix_lib.artefacts.processor import processor

# Those that shape numbers.
PACKAGES = ("torch", "transformers", "deepspeed", "accelerate", "lm-eval", "pyarrow", "pandas", "numpy", "matplotlib")


def installed_version(package: str) -> str | None:
    """Version of a package, read from metadata: nothing is imported; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def provenance_now(execution: dict[str, Any], metrics: dict[str, Any], wall_seconds: float | None) -> dict[str, Any]:
    """The provenance half of a manifest, as of now; its code as it was when the process began."""
    code, now = code_at_start(), code_version()
    return {
        "code": code if now == code else code | {"at_end": now},  # modules imported in between may be of either
        "packages": {"python": platform.python_version()}
        | {name: version for name in PACKAGES if (version := installed_version(name))},
        "host": platform.node(),
        "processor": processor(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": None if wall_seconds is None else round(wall_seconds, 2),
        "execution": execution,
        "metrics": metrics,
    }

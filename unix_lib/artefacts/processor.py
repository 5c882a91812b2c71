"""What decides how sums are rounded on a CPU: its instruction sets, and how far libraries may go in using them."""

import os
import platform
from itertools import takewhile
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Those that kernels of torch, oneDNN, MKL and NumPy are chosen by.
DECISIVE = ("avx", "fma", "amx", "sve", "asimd")
# With these Intel's processors with AVX2 add in the same order (docs/reproduction.md).
LIMITS = ("MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")


def processor() -> dict[str, object]:
    """`name`, the decisive `instructions` in alphabetical order (none where the system does not list them), and the
    `limits` that the environment sets."""
    try:
        with CPUINFO.open(encoding="utf-8", errors="replace") as file:  # a node has hundreds, and lists them slowly
            lines = list(takewhile(str.strip, file))
    except OSError:
        lines = []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    listed = said.get("flags", said.get("Features", "")).split()
    return {
        "name": said.get("model name", platform.processor()),
        "instructions": sorted(name for name in listed if name.startswith(DECISIVE)),
        "limits": {name: os.environ[name] for name in LIMITS if name in os.environ},
    }

"""What is recorded of the processor that rounds."""

from pathlib import Path

import pytest

from unix_lib.artefacts import processor as module
from unix_lib.artefacts.processor import LIMITS, processor
from unix_lib.artefacts.provenance import provenance_now

TWO = """processor\t: 0
model name\t: Some (R) Processor @ 2.0GHz
flags\t\t: fpu sse2 fma avx2 avx512f amx_tile avx

processor\t: 1
model name\t: another
flags\t\t: fpu
"""


def test_the_first_processor_speaks_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(TWO)
    instructions = ["amx_tile", "avx", "avx2", "avx512f", "fma"]
    assert processor() == {"name": "Some (R) Processor @ 2.0GHz", "instructions": instructions, "limits": {}}
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    assert processor()["limits"] == {"MKL_CBWR": "AVX2"}


@pytest.mark.parametrize("text", [None, "", "Features\t: fp asimd sve2\n", "no colon\n"])
def test_a_system_that_lists_less_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert processor()["instructions"] == (["asimd", "sve2"] if text and "sve2" in text else [])


def test_it_is_part_of_where_a_result_came_from() -> None:
    assert provenance_now({}, {}, None)["processor"] == processor()

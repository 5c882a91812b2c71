"""A source, a scorer and a figure from outside the package: from the schema to the report, without a line changed."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

from unix_lib.config import ConfigError
from unix_lib.config.figures import FigureKind
from unix_lib.config.kinds import find_kind, imported

ROOT = Path(__file__).resolve().parents[2]
POEMS = "\n\n".join(f"the {word} is over there\nand so it is, said the {word}" for word in map(str, range(60)))
RUN = {
    "plan": {"preset": "shared"},
    "start": {"kind": "fresh", "shape": {"hidden_size": 32, "intermediate_size": 32, "layers": 2, "heads": 2}},
    "mixture": "mixed",
    "optimization": {"total_steps": 2, "packs_per_step": 1},
    "checkpoints": [2],
}
VQGAN = {"codebook_size": 16, "image_size": 32, "embedding_width": 8, "latent_width": 8, "base_channels": 32}
CONFIG = {
    "experiment": "outside",
    "sources": {
        "poems": {"kind": "tests.outside.poems", "path": "poems.txt"},
        "digits": {"kind": "digits"},
    },
    "held_out": {"share": 0.3},
    "tokenizers": {
        "text": {"kind": "train_bpe", "vocabulary_size": 300, "sources": ["poems"]},
        "image": {
            "kind": "train_vqgan",
            "shape": {**VQGAN, "channel_multipliers": [1, 1, 1], "residual_blocks": 1, "attention": False},
            "sources": ["digits"],
            "steps": 2,
        },
    },
    "pack": {"length": 128, "mixtures": {"mixed": {"parts": [{"source": "poems"}, {"source": "digits"}]}}},
    "train": {"runs": {"one": RUN}},
    "evaluate": {
        "benchmarks": {"rhymes": {"scorer": "tests.outside.last_word", "source": "poems", "chance": 0.25}},
        "groups": {"all": ["rhymes"]},
        "bootstrap_samples": 100,
    },
    "figures": {"names": ["tests.outside.answer_lengths", "loss_curves"]},
    "report": {},
}

POEMS_MODULE = (ROOT / "tests" / "outside" / "poems.py").read_text()
KIND = """
from unix_lib.config.kinds import JobKind
from unix_lib.config.sources import SourceKind, SourceSettings
from unix_lib.config.strict import StrictModel
"""
BROKEN = {
    "broken": "1 / 0\n",
    "two_lines": "raise RuntimeError('one\\ntwo')\n",
    "ends": "raise SystemExit(3)\n",
    "functionless": POEMS_MODULE.replace("def make_records", "def make_others"),
    "jobless": f"{KIND}KIND = SourceKind(SourceSettings, records='poems:make')\n",
    "modelless": f"{KIND}KIND = SourceKind(dict, records=JobKind(StrictModel, 'poems:make', 1))\n",
    "unchecked": POEMS_MODULE.replace("PoemsFile, ReadsOutside)", "PoemsFile)").replace(
        "    held_out:", "    identity: FilesIdentity\n    held_out:"
    ),
    "unsaid": POEMS_MODULE.replace("def identify", "def identify_not"),
    "sourceless": f"{KIND}KIND = SourceKind(StrictModel, records=JobKind(StrictModel, 'poems:make', 1))\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the three modules on Python's path, whose config names them."""
    folder = tmp_path_factory.mktemp("outside") / "clone"
    for name in ("workflow", "rules", "scripts", "unix_lib", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    (folder / "tests").mkdir()
    shutil.copytree(ROOT / "tests" / "outside", folder / "tests" / "outside")
    (folder / "poems.txt").write_text(POEMS)
    (folder / "config" / "outside.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def test_the_three_of_the_documentation_are_these() -> None:
    """docs/extending.md shows the files as they stand."""
    page = (ROOT / "docs" / "extending.md").read_text()
    shown = dict(re.findall(r"<!-- (tests/outside/\w+\.py) -->\n```python\n(.*?)```", page, re.DOTALL))
    assert set(shown) == {f"tests/outside/{name}.py" for name in ("poems", "last_word", "answer_lengths")}
    for name, text in shown.items():
        assert text == (ROOT / name).read_text(), f"{name} and docs/extending.md differ"


@pytest.mark.slow
def test_kinds_from_outside_go_from_the_plan_to_the_report(project: Path) -> None:
    planned = run(project, "unix_lib", "plan", "config/outside.yaml")
    assert planned.returncode == 0, planned.stderr
    checked = run(project, "unix_lib", "doctor", "config/outside.yaml")
    assert "source poems: poems.txt" in checked.stdout, checked.stdout + checked.stderr
    made = run(project, "snakemake", "--cores", "2", "--configfile", "config/outside.yaml", "--", "all")
    assert made.returncode == 0, made.stdout + made.stderr
    current = project / "results" / "outside" / "current"
    scores = pd.read_parquet(current / "evaluate" / "one-step-00002-all" / "scores.parquet")
    assert scores.protocol.unique().tolist() == ["last word, greedy"]
    assert (current / "figures" / "answer_lengths" / "answer_lengths.csv").stat().st_size > 0
    page = (current / "report" / "summary" / "index.html").read_text()
    assert "How long answers are" in page and "poems" in page
    for command in (("status", "config/outside.yaml"), ("prune", "results/outside"), ("verify", "results/outside")):
        finished = run(project, "unix_lib", *command)
        assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "0 items" in run(project, "unix_lib", "prune", "results/outside").stdout


def test_a_file_that_the_source_names_is_missing(project: Path) -> None:
    (project / "config" / "lost.yaml").write_text(
        yaml.safe_dump(
            CONFIG | {"sources": CONFIG["sources"] | {"poems": CONFIG["sources"]["poems"] | {"path": "no.txt"}}}
        )
    )
    checked = run(project, "unix_lib", "doctor", "config/lost.yaml")
    assert checked.returncode == 1 and "no such file or folder" in checked.stdout
    (project / "config" / "lost.yaml").unlink()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("tests.outside.nowhere", "module tests.outside.nowhere can't be imported (ModuleNotFoundError"),
        ("tests.outside.broken", "module tests.outside.broken can't be imported (ZeroDivisionError"),
        ("tests.outside.answer_lengths", "tests.outside.answer_lengths has no KIND of class SourceKind"),
        ("tests.outside", "tests.outside has no KIND of class SourceKind"),
        ("poem", "unknown source kind 'poem'"),
        ("tests.outside.two_lines", "can't be imported (RuntimeError: one two); correct the module"),
        ("tests.outside.ends", "can't be imported (SystemExit: 3); correct the module"),
        ("tests.outside.functionless", "its records names tests.outside.functionless:make_records, and there is no"),
        ("tests.outside.jobless", "its records is no JobKind; docs/extending.md"),
        ("tests.outside.modelless", "its settings are no SourceSettings; docs/extending.md"),
        ("tests.outside.unchecked", "its records says what files from outside are, which no job would check; derive"),
        (
            "tests.outside.unsaid",
            "derive PlannedPoems from ReadsOutside, with an identify of its own; docs/extending.md",
        ),
        ("tests.outside.sourceless", "its settings are no SourceSettings; docs/extending.md"),
    ],
)
def test_a_kind_that_is_none_is_refused_in_one_line(project: Path, kind: str, told: str) -> None:
    for name, text in BROKEN.items():
        (project / "tests" / "outside" / f"{name}.py").write_text(text)
    values = CONFIG | {"sources": {"poems": {"kind": kind, "path": "poems.txt"}}, "experiment": "bad"}
    (project / "config" / "bad.yaml").write_text(yaml.safe_dump(values))
    finished = run(project, "unix_lib", "plan", "config/bad.yaml")
    assert finished.returncode == 1
    (line,) = finished.stderr.strip().splitlines()
    assert told in line and "Traceback" not in finished.stderr
    (project / "config" / "bad.yaml").unlink()


def test_a_title_that_is_a_modules_name_is_no_function(monkeypatch: pytest.MonkeyPatch) -> None:
    titled = ModuleType("tests.outside.titled")
    titled.KIND = replace(find_kind("figure", "tests.outside.answer_lengths", FigureKind), title="json")
    monkeypatch.setitem(sys.modules, "tests.outside.titled", titled)
    assert find_kind("figure", "tests.outside.titled", FigureKind).title == "json"


def test_a_function_that_is_not_there_is_told_and_what_its_module_lacks_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "needy.py").write_text("import not_installed_anywhere\n", encoding="utf-8")
    for path in ("json:no_such_function", "no_such_module:make", "json.no_such_module:make"):
        with pytest.raises(ConfigError, match=f"^there is no {path}; define it, or correct the kind"):
            imported(path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        imported("needy:make")

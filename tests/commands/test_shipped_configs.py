"""Every command on every shipped config, without a network, without results: an answer, never a traceback."""

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

import unix_lib
from unix_lib.__main__ import app
from unix_lib.commands.plan import Forecast
from unix_lib.config import load_experiment
from unix_lib.config.hub import not_pinned, unpinned
from unix_lib.config.hub_lock import HubLock, LockedRepository
from unix_lib.recipes.costs import run_tokens
from unix_lib.recipes.estimate import Estimates
from unix_lib.recipes.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(path.stem for path in (ROOT / "config").glob("*.yaml"))
ONLY_ENTROPY = {
    "experiment": "bits",
    "sources": {"digits": {"kind": "digits"}, "prose": {"kind": "text"}},
    "tokenizers": {
        "text": {"kind": "train_bpe", "sources": ["prose"]},
        "image": {
            "kind": "train_vqgan",
            "sources": ["digits"],
            "shape": {"image_size": 32, "base_channels": 32, "channel_multipliers": [1, 1, 1]},
        },
    },
    "analyze": {"entropy": {"sources": ["prose", "digits"]}},
    "report": {},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without results: its configs and its profile."""
    for name in ("config", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "slurm").symlink_to("workflow/profiles/slurm")
    (tmp_path / "config" / "bits.yaml").write_text(yaml.safe_dump(ONLY_ENTROPY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("config", [*CONFIGS, "bits"])
def test_commands_answer(project: Path, config: str) -> None:
    path = f"config/{config}.yaml"
    plan = run("plan", path, "--cores", "2")
    assert plan.exit_code == 0
    assert "jobs would run" in plan.output and "On 2 cores" in plan.output
    assert run("status", path).exit_code == 0
    described = run("describe", path)
    assert described.exit_code == 0
    assert ("trains no model" in described.output) == (config in ("bits", "entropy"))
    figures = run("figures", path)
    assert figures.exit_code == 0 and "waiting" in figures.output
    assert "Nothing to summarize yet" in run("summarize", path).output
    (project / "results" / config).mkdir(parents=True, exist_ok=True)
    pruned = run("prune", f"results/{config}")
    assert pruned.exit_code == 0 and "0 items" in pruned.output


@pytest.mark.parametrize("config", [*CONFIGS, "bits"])
def test_doctor_answers(project: Path, config: str) -> None:
    checked = run("doctor", f"config/{config}.yaml")
    needs = config in ("ablation-1.5b", "entropy", "one-gpu", "unix-3b")
    assert checked.exit_code == int(needs), checked.output
    if needs:
        assert "Qwen/Qwen2.5" in checked.output and "unix-lib fetch" in checked.output
        assert not_pinned(load_experiment(Path(f"config/{config}.yaml"))) is None or "--pin" in checked.output


ONE_GPU = {  # files that its patterns name, about as large as they are
    "HuggingFaceFW/fineweb-edu": {f"sample/10BT/00{n}_00000.parquet": 2_150_000_000 for n in range(2)},
    "jackyhate/text-to-image-2M": {f"data_512_2M/data_{n:06d}.tar": 4_500_000_000 for n in range(12)},
    "Open-Orca/OpenOrca": {"1M-GPT4-Augmented.parquet": 1_000_000_000},
    "Qwen/Qwen2.5-0.5B": {"model.safetensors": 1_000_000_000},
}


def test_one_gpu_takes_less_than_three_days(project: Path) -> None:
    """By the plan's own estimate, also where that is too low by as much as it says."""
    config = Path("config/one-gpu.yaml")
    entries = [
        LockedRepository(
            **asked.model_dump(include={"repository", "type", "patterns"}),
            asked=asked.revision,
            revision="c0ffee" + "0" * 34,
            licence=None,
            gated=False,
            bytes=None,
            files=ONE_GPU.get(asked.repository, {}),
            pinned=date.today(),
        )
        for asked in unpinned(load_experiment(config, lock=HubLock()))
    ]
    plan = resolve(load_experiment(config, lock=HubLock(entries)), project)
    forecast = Forecast(plan, project / "results", Estimates(plan, project / "results" / "one-gpu"))
    cost = forecast.cost(forecast.due)
    assert not plan.notices and cost.jobs > 100 and not forecast.estimates.sources_without_data()
    assert 3600 < cost.seconds < cost.high < 3 * 86400
    runs = [run_tokens(plan.experiment, run) for run in plan.experiment.runs]
    assert len(runs) == 3 and all(0.9e9 < tokens < 1.1e9 for tokens in runs)


def test_schema_writes_what_the_repository_has(project: Path) -> None:
    """Fails where a settings model changed and `make schema` was not run."""
    assert run("schema").exit_code == 0
    for name in ("config/schema.json", "docs/config.md"):
        assert (project / name).read_text() == (ROOT / name).read_text(), f"{name} is out of date: run `make schema`"


def test_the_version_and_completion() -> None:
    assert run("--version").output.strip() == f"unix-lib {unix_lib.__version__}"
    assert re.search("--install-completion", run("--help").output)


def test_the_console_script_says_errors_in_one_line(tmp_path: Path) -> None:
    code = "import sys; from unix_lib.__main__ import main; sys.argv = ['unix-lib', 'plan', 'nothing.yaml']; main()"
    finished = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith("ConfigError: nothing.yaml: no such config")
    assert len(finished.stderr.strip().splitlines()) == 1
    assert 'unix-lib = "unix_lib.__main__:main"' in (ROOT / "pyproject.toml").read_text()

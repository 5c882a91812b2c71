"""What the doctor says of a cluster and of the site's file."""

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from tests.cluster.conftest import Says
from tests.workflow.project import ROOT
from unix_lib.commands import doctor


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """A folder with the smallest experiment, and the commands of a SLURM."""
    for name in ("laptop.yaml", "smoke.yaml"):
        shutil.copy(ROOT / "config" / name, tmp_path)
    shutil.copytree(ROOT / "workflow" / "profiles" / "slurm", tmp_path / "slurm")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    return Says(tmp_path / "tools")


def told() -> tuple[int, str]:
    shown = io.StringIO()
    code = doctor.run(Path("smoke.yaml"), Console(file=shown, width=300))
    return code, shown.getvalue()


def test_a_cluster_that_takes_the_experiment_is_found(says: Says) -> None:
    says("sbatch", "")
    says("sinfo", "cpu*|1-00:00:00|64|256000|(null)|40")
    says("scontrol", "AccountingStorageType = accounting_storage/none")
    code, shown = told()
    assert code == 0, shown
    assert "squeue: there is no accounting database" in shown
    assert "would be taken" in shown


def test_what_a_cluster_would_refuse_is_missing_where_there_is_a_site(says: Says) -> None:
    says("sbatch", "")
    says("sinfo", "cpu*|0:30|64|256000|(null)|40\ngpu|1-00:00:00|64|256000|(null)|40")
    code, shown = told()
    assert code == 0
    assert "train: runtime_minutes: " in shown and "another partition in site.yaml" in shown
    Path("site.yaml").write_text("account: lab", encoding="utf-8")
    code, shown = told()
    assert code == 1
    assert "train: runtime_minutes: " in shown


def test_without_slurm_nothing_is_said_of_jobs(says: Says) -> None:
    code, shown = told()
    assert code == 0, shown
    assert "SLURM job" not in shown

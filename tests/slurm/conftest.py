"""The cluster, and a project whose data are made, to be trained on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, two_nodes, why_not
from tests.slurm.training import Training
from tests.workflow.project import ROOT


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A SLURM of two nodes without an accounting database; the test is skipped where none can be started."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with two_nodes(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "clone"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "rules", "scripts", "unix_lib", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore, symlinks=True)
    (folder / "slurm").symlink_to("workflow/profiles/slurm")
    training = Training(folder)
    training.write()
    training.project.snakemake("--cores", "2", "--configfile", "config/long.yaml", "--", "data")
    return folder


@pytest.fixture
def training(prepared: Path, tmp_path: Path) -> Training:
    shutil.copytree(prepared, tmp_path / "clone", symlinks=True)
    return Training(tmp_path / "clone")


@pytest.fixture(scope="session")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The identity of the same checkpoint, trained without a fault and without a cluster: all its files' SHA-256."""
    folder = tmp_path_factory.mktemp("undisturbed") / "clone"
    shutil.copytree(prepared, folder, symlinks=True)
    training = Training(folder)
    training.snakemake("--cores", "1")
    return training.checkpoint()[1].digest

"""The cluster, and how a project's Snakemake is told that it has no accounting database."""

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import two_nodes, why_not

# What docs/cluster.md tells a site without accounting to set; the short first wait only saves the test's time.
PROFILE = (
    "--profile", "slurm", "--slurm-no-account", "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", "2",
)  # fmt: skip


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SLURM of two nodes; the test is skipped where none can be started."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with two_nodes(tmp_path_factory.mktemp("slurm")):
        yield

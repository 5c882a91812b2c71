"""From a job's shape to launcher arguments."""

from typing import Any

import pytest

from unix_lib.train.errors import TrainError
from unix_lib.train.launch import SECONDS_TO_SAVE, first_host, launcher_arguments, launcher_command


@pytest.mark.parametrize(
    ("node_list", "host"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("gpu[003-007,010],login1", "gpu003"),
        ("n[1-2]", "n1"),
        ("rack2-n[08,12]-ib,other", "rack2-n08-ib"),
    ],
)
def test_first_host_of_a_node_list(node_list: str, host: str) -> None:
    assert first_host(node_list) == host


def _shape(nodes: int, gpus: int) -> dict[str, Any]:
    return {"nodes": nodes, "gpus": gpus, "threads": 1}


def test_one_process_needs_no_launcher() -> None:
    assert launcher_arguments(_shape(1, 0), {}) is None
    assert launcher_arguments(_shape(1, 1), {"SLURM_NNODES": "1"}) is None


def test_a_launched_process_does_not_launch_again() -> None:
    assert launcher_arguments(_shape(1, 8), {"RANK": "3"}) is None


def test_all_processes_of_one_machine() -> None:
    assert launcher_arguments(_shape(1, 8), {}) == ["--standalone", "--nproc-per-node=8"]
    assert launcher_arguments(_shape(2, 0), {}) == ["--standalone", "--nproc-per-node=2"]
    assert launcher_arguments(_shape(1, 4), {"SLURM_NNODES": "1"}) == ["--standalone", "--nproc-per-node=4"]


def test_the_launcher_leaves_the_options_of_the_script_alone() -> None:
    from torch.distributed.run import parse_args

    script = ["scripts/train.py", "--recipe", "r.json", "--execution", "e.json", "--output", "m.json", "--log", "x.log"]
    parsed = parse_args(launcher_command(["--standalone", "--nproc-per-node=2"], script)[3:])
    assert [parsed.training_script, *parsed.training_script_args] == script
    assert parsed.nproc_per_node == "2"
    assert parsed.shutdown_timeout == SECONDS_TO_SAVE


def test_one_launcher_per_node_under_srun() -> None:
    environment = {
        "SLURM_NNODES": "7", "SLURM_NODEID": "2", "SLURM_STEP_ID": "0", "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NODELIST": "gpu[003-009]",
    }  # fmt: skip
    arguments = launcher_arguments(_shape(7, 8), environment)
    assert arguments is not None
    assert arguments[:4] == ["--nnodes=7", "--node-rank=2", "--nproc-per-node=8", "--master-addr=gpu003"]
    other = launcher_arguments(_shape(7, 8), environment | {"SLURM_NODEID": "5"})
    assert other is not None and arguments[4] == other[4]  # all nodes meet at the same port


def test_several_nodes_without_srun_or_with_other_numbers_are_refused() -> None:
    for environment in ({"SLURM_NNODES": "2", "SLURM_JOB_ID": "1"}, {"SLURM_JOB_ID": "1"}):
        with pytest.raises(TrainError, match="with srun"):
            launcher_arguments(_shape(2, 8), environment)
    with pytest.raises(TrainError, match="nodes: 2, SLURM gave 1"):
        launcher_arguments(_shape(2, 8), {"SLURM_NNODES": "1"})

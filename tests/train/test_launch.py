"""From a job's shape to launcher arguments."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unix_lib.config.jobs import JobShape
from unix_lib.train.errors import TrainError
from unix_lib.train.launch import SECONDS_TO_SAVE, first_host, launcher_arguments, launcher_command

Scontrol = Callable[[str], Path]


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scontrol:
    """Puts an `scontrol` of the given shell commands first on the PATH."""

    def install(commands: str) -> Path:
        program = tmp_path / "scontrol"
        program.write_text(f"#!/bin/sh\n{commands}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return program

    return install


def test_the_first_host_is_the_first_that_slurm_names(scontrol: Scontrol, tmp_path: Path) -> None:
    scontrol(f'printf "%s|" "$@" > {tmp_path / "asked"}; printf "rack2-n08-ib\\nrack2-n12-ib\\nother\\n"')
    assert first_host("rack2-n[08,12]-ib,other") == "rack2-n08-ib"
    assert (tmp_path / "asked").read_text() == "show|hostnames|rack2-n[08,12]-ib,other|"


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        ("echo Invalid hostlist: n[ >&2; exit 1", r"\(Invalid hostlist: n\[\)"),
        ("exit 3", "exit status 3"),
        ("true", "names no host"),
    ],
)
def test_a_node_list_that_slurm_cannot_read_is_refused(scontrol: Scontrol, commands: str, why: str) -> None:
    scontrol(commands)
    with pytest.raises(TrainError, match=rf"SLURM_JOB_NODELIST 'n\[' can't be read.*{why}.*sbatch or srun"):
        first_host("n[")


def test_a_node_list_without_scontrol_is_refused(scontrol: Scontrol, monkeypatch: pytest.MonkeyPatch) -> None:
    program = scontrol("echo n1")
    assert first_host("n1") == "n1"
    program.unlink()
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(TrainError, match=r"No such file.*make SLURM's commands available"):
        first_host("n1")


def test_one_process_needs_no_launcher() -> None:
    assert launcher_arguments(JobShape(nodes=1, gpus=0), {}) is None
    assert launcher_arguments(JobShape(nodes=1, gpus=1), {"SLURM_NNODES": "1"}) is None


def test_a_launched_process_does_not_launch_again() -> None:
    assert launcher_arguments(JobShape(nodes=1, gpus=8), {"RANK": "3"}) is None


def test_all_processes_of_one_machine() -> None:
    assert launcher_arguments(JobShape(nodes=1, gpus=8), {}) == ["--standalone", "--nproc-per-node=8"]
    assert launcher_arguments(JobShape(nodes=2, gpus=0), {}) == ["--standalone", "--nproc-per-node=2"]
    assert launcher_arguments(JobShape(nodes=1, gpus=4), {"SLURM_NNODES": "1"}) == [
        "--standalone",
        "--nproc-per-node=4",
    ]


def test_the_launcher_leaves_the_options_of_the_script_alone() -> None:
    from torch.distributed.run import parse_args

    script = ["scripts/train.py", "--recipe", "r.json", "--execution", "e.json", "--output", "m.json", "--log", "x.log"]
    parsed = parse_args(launcher_command(["--standalone", "--nproc-per-node=2"], script)[3:])
    assert [parsed.training_script, *parsed.training_script_args] == script
    assert parsed.nproc_per_node == "2"
    assert parsed.shutdown_timeout == SECONDS_TO_SAVE


def test_one_launcher_per_node_under_srun(scontrol: Scontrol) -> None:
    scontrol("seq --format=gpu%03.0f 3 9")
    environment = {
        "SLURM_NNODES": "7", "SLURM_NODEID": "2", "SLURM_STEP_ID": "0", "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NODELIST": "gpu[003-009]",
    }  # fmt: skip
    arguments = launcher_arguments(JobShape(nodes=7, gpus=8), environment)
    assert arguments is not None
    assert arguments[:4] == ["--nnodes=7", "--node-rank=2", "--nproc-per-node=8", "--master-addr=gpu003"]
    other = launcher_arguments(JobShape(nodes=7, gpus=8), environment | {"SLURM_NODEID": "5"})
    assert other is not None and arguments[4] == other[4]  # all nodes meet at the same port


def test_several_nodes_without_srun_or_with_other_numbers_are_refused() -> None:
    for environment in ({"SLURM_NNODES": "2", "SLURM_JOB_ID": "1"}, {"SLURM_JOB_ID": "1"}):
        with pytest.raises(TrainError, match="with srun"):
            launcher_arguments(JobShape(nodes=2, gpus=8), environment)
    with pytest.raises(TrainError, match="nodes: 2, SLURM gave 1"):
        launcher_arguments(JobShape(nodes=2, gpus=8), {"SLURM_NNODES": "1"})

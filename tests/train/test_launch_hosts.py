"""Training on the machines of a hostfile, by a remote shell that stays on this one and closes files as ssh does."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.train.experiment import ROOT, Experiment, command, environment, log_of, train
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.cluster.hosts import Host, HostError
from unix_lib.cluster.site import Site
from unix_lib.config.jobs import JobShape
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.train.launch import host_commands, hosts_without_slurm
from unix_lib.train.state import work_folder

HOSTS = ["localhost", "127.0.0.2"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with a site's file, a hostfile of two, and a remote shell that notes in `asked` where it went."""
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "unix_lib").symlink_to(ROOT / "unix_lib")
    (folder / "hosts").write_text("".join(f"{host} slots=1\n" for host in HOSTS))
    (folder / "shell").write_text(
        f'echo $1 >> {folder}/asked\nexec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-\nexec sh -c "$2"\n'
    )
    (folder / "site.yaml").write_text(f"hostfile: hosts\nremote_shell: sh {folder}/shell\n")
    return folder


def test_two_hosts_train_what_one_process_trains(clone: Path, tmp_path: Path) -> None:
    experiment, alone = Experiment(tmp_path / "results"), Experiment(tmp_path / "alone")
    job = experiment.job(2, execution={"job": {"nodes": 2}})
    subprocess.run(command(job), check=True, env=environment(), cwd=clone)
    assert sorted((clone / "asked").read_text().split()) == sorted(HOSTS * 2)  # can they be used, then the training
    found, expected = log_of(experiment, read_manifest(job.folder)), log_of(alone, train(alone, 2))
    assert [row["tokens"] for row in found] == [row["tokens"] for row in expected]
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in expected], rel=1e-6)


def test_hosts_save_and_leave_before_another_writes_when_what_started_them_is_killed(
    clone: Path, tmp_path: Path
) -> None:
    execution = {"job": {"nodes": 2}, "save_seconds": 0}
    job = Experiment(tmp_path / "results").job(10**6, execution=execution, optimization={"total_steps": 10**6})
    with (tmp_path / "printed").open("w") as printed:
        starter = subprocess.Popen(command(job), env=environment(), cwd=clone, stderr=printed)
    work = work_folder(job.results, job.settings.run, job.settings.run_digest)
    while not list(work.glob("step-*/hashes.json")):
        assert starter.poll() is None
        time.sleep(0.1)
    recipe = str(job.recipe.path(job.results))
    assert len(_alive(recipe)) == 1 + 2 * 2  # what started all; of each host the launcher and what it launched
    starter.kill()
    starter.wait()
    with Lock(lock_path(work)):  # waits
        pass
    while _alive(recipe):
        time.sleep(0.1)
    lines = [line for line in (tmp_path / "printed").read_text().splitlines() if line.startswith("Interrupted: ")]
    assert len(lines) == 2 and all("all is saved" in line for line in lines)


def _alive(recipe: str) -> list[list[str]]:
    """Command lines of processes that were given a recipe."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes().decode(errors="replace").split("\0"))
        except OSError:  # it ended
            continue
    return [words for words in lines if recipe in words]


def test_what_cannot_train_is_refused_before_anything_starts(clone: Path, tmp_path: Path) -> None:
    (clone / "shell").write_text('echo $1 >> asked\n[ $1 = localhost ] || { echo "$1: no route" >&2; exit 255; }\n')
    job = Experiment(tmp_path / "results").job(2, execution={"job": {"nodes": 2}})
    done = subprocess.run(command(job), check=False, env=environment(), cwd=clone, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("HostError: hosts that can't be used: 127.0.0.2 (127.0.0.2: no route);")
    assert sorted((clone / "asked").read_text().split()) == sorted(HOSTS)
    assert not lock_path(job.work).exists()


def test_hosts_are_for_jobs_of_several_nodes_outside_slurm(clone: Path) -> None:
    site = Site(hostfile=clone / "hosts")
    two = JobShape(nodes=2)
    assert hosts_without_slurm(two, site, {}) == [Host(host, 1) for host in HOSTS]
    assert hosts_without_slurm(JobShape(gpus=8), site, {}) == []
    assert hosts_without_slurm(two, Site(), {}) == []
    assert hosts_without_slurm(two, site, {"SLURM_JOB_ID": "1"}) == []
    with pytest.raises(HostError, match=r"0 of its 2 host\(s\) have 8 slot"):
        hosts_without_slurm(JobShape(nodes=2, gpus=8), site, {})


def test_launchers_of_all_hosts_meet_at_the_first() -> None:
    first, second = host_commands([Host("ada@gpu1", 4), Host("ada@gpu2", 4)], JobShape(nodes=2, gpus=4))
    assert {"--nnodes=2", "--node-rank=0", "--nproc-per-node=4", "--master-addr=gpu1"} <= set(first)
    assert [word for word in first if word != "--node-rank=0"] == [word for word in second if word != "--node-rank=1"]

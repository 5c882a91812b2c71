"""What a cluster can't run is found out from what SLURM says of itself."""

import pytest

from tests.cluster.conftest import Says
from unix_lib.cluster.site import Site
from unix_lib.cluster.slurm import ClusterError, Nodes, faults, keeps_accounts, live_jobs, minutes, nodes
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.train import TrainExecution

CLUSTER = """\
cpu*|1-00:00:00|64|256000|(null)|40
gpu|2-00:00:00|48|500000|gpu:a100:4(S:0-1)|10
gpu|2-00:00:00|96|900000|gpu:h100:8(S:0-1),gpu:mig:2|2
short|30:00|48|500000|gpu:4|10"""


def of_shape(site: Site, stage: str = "encode", **shape: int) -> list[str]:
    return faults(site, [(stage, Execution(job=JobShape(**shape)))])


def test_partitions_are_read_with_their_kinds_of_node(says: Says) -> None:
    says("sinfo", CLUSTER)
    first, second, third, last = nodes()
    assert first == Nodes("cpu", True, 1440, 64, 256000, 0, 40)
    assert (second.gpus, third.gpus, last.minutes) == (4, 10, 30)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("infinite", float("inf")),
        ("30", 0.5),
        ("30:00", 30),
        ("12:00:00", 720),
        ("7-12:30:00", 10830),
        ("n/a", float("inf")),
    ],
)
def test_durations_are_read_as_slurm_writes_them(written: str, meant: float) -> None:
    assert minutes(written) == meant


def test_jobs_that_some_node_can_take_are_let_through(says: Says) -> None:
    says("sinfo", CLUSTER)
    assert of_shape(Site(), threads=64, memory_mb=256000, runtime_minutes=1440, nodes=40) == []
    assert of_shape(Site(partition="gpu"), gpus=8, nodes=2) == []
    assert of_shape(Site(partition="short,gpu"), gpus=4, runtime_minutes=2000) == []


@pytest.mark.parametrize(
    ("partition", "shape", "told"),
    [
        (None, {"gpus": 1}, "encode: gpus: 1 is more than partition 'cpu' gives, 0; lower it in encode.job"),
        ("gpu", {"gpus": 16}, "gpus: 16 is more than partition 'gpu' gives, 10"),
        ("gpu", {"threads": 128, "gpus": 4}, "threads: 128 is more than partition 'gpu' gives, "),
        ("gpu", {"memory_mb": 10**6}, "memory_mb: 1000000 is more than partition 'gpu' gives, "),
        ("short", {"runtime_minutes": 31}, "runtime_minutes: 31 is more than partition 'short' gives, 30"),
        ("gpu", {"gpus": 8, "nodes": 3}, "nodes: 3, and partition 'gpu' has 2 such"),
        ("gone", {}, "no partition 'gone' here; set one of cpu, gpu, short in site.yaml"),
    ],
)
def test_jobs_that_no_node_can_take_are_named_with_what_to_change(
    says: Says, partition: str | None, shape: dict[str, int], told: str
) -> None:
    says("sinfo", CLUSTER)
    (fault,) = of_shape(Site(partition=partition), **shape)
    assert told in fault


def test_a_cluster_without_a_default_partition_wants_one_named(says: Says) -> None:
    says("sinfo", CLUSTER.replace("*", ""))
    assert "no default partition; set `partition` in site.yaml: cpu, gpu, short" in of_shape(Site())[0]


def test_a_job_shorter_than_its_first_save_is_refused(says: Says) -> None:
    says("sinfo", CLUSTER)
    job = TrainExecution(save_seconds=600, job=JobShape(runtime_minutes=10))
    assert "save_seconds: 600 is no less than a job lasts" in faults(Site(), [("train", job)])[0]
    assert faults(Site(), [("train", job.model_copy(update={"save_seconds": 599}))]) == []


def test_accounts_and_qos_are_compared_with_those_of_the_user(says: Says) -> None:
    says("sinfo", CLUSTER)
    says("sacctmgr", "lab|normal,long\nother|normal")
    assert of_shape(Site(account="Lab", qos="long")) == []
    assert of_shape(Site(account="mine")) == ["account 'mine' is not yours; set one of lab, other in site.yaml"]
    assert "QOS 'long' is not of account 'other'; set one of normal" in of_shape(Site(account="other", qos="long"))[0]


def test_an_account_is_refused_where_none_are_kept_and_let_through_where_nobody_tells(says: Says) -> None:
    says("sinfo", CLUSTER)
    assert of_shape(Site(account="mine")) == []
    says("scontrol", "AccountingStorageType = accounting_storage/none")
    assert of_shape(Site(account="mine")) == [
        "account 'mine': this cluster keeps no accounts; take it out of site.yaml"
    ]


def test_a_batch_lasts_as_long_as_its_jobs_together(says: Says) -> None:
    says("sinfo", CLUSTER)
    jobs = [("figures", Execution(job=JobShape(runtime_minutes=10)))] * 4
    assert faults(Site(partition="short", batch=3), jobs) == []
    (fault,) = faults(Site(partition="short", batch=9), jobs)
    assert "runtime_minutes: 40 is more than partition 'short' gives, 30; lower it in figures.job" in fault
    assert "a smaller batch (4 jobs are together)" in fault


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            "allocation failure: Invalid feature specification",
            ["encode: sbatch says: allocation failure: Invalid featur"[:55]],
        ),
        ("allocation failure: Required node not available (down, drained or reserved)", []),
    ],
)
def test_what_sbatch_refuses_for_good_is_passed_on_with_where_to_look(says: Says, answer: str, told: list[str]) -> None:
    says("sinfo", CLUSTER)
    says("sbatch", answer, fails=True)
    found = of_shape(Site(qos="long", options="--reservation='a b'"), runtime_minutes=20, gpus=0)
    assert [fault[:55] for fault in found] == told
    asked = says.asked("sbatch")
    assert asked.startswith(
        "--test-only --qos=long --time=20 --mem=4000 --nodes=1 --cpus-per-task=1 --reservation=a b "
    )


def test_a_cluster_that_does_not_answer_is_named(says: Says) -> None:
    says("sinfo", "")
    with pytest.raises(ClusterError, match="sinfo names no partition"):
        of_shape(Site())


@pytest.mark.parametrize(("kind", "kept"), [("accounting_storage/none", False), ("accounting_storage/slurmdbd", True)])
def test_whether_accounts_are_kept_is_asked_of_the_cluster(says: Says, kind: str, kept: bool) -> None:
    says("scontrol", f"AccountingStorageTRES  = cpu\nAccountingStorageType  = {kind}\nMinJobAge = 300 sec")
    assert keeps_accounts() is kept


def test_jobs_that_ended_are_not_live(says: Says) -> None:
    says("squeue", "7|RUNNING|rule_figure_a|b\n8|PREEMPTED|rule_figure_c\n9|COMPLETING|rule_figure_d\n10|x")
    assert live_jobs("tiny-1") == {"rule_figure_a|b": "7", "rule_figure_d": "9"}
    assert "--name=tiny-1" in says.asked("squeue")


def test_a_cluster_that_does_not_tell_of_its_jobs_is_not_one_without_any(says: Says) -> None:
    says("squeue", "")
    assert live_jobs("tiny-1") == {}
    says("squeue", "Unable to contact slurm controller", fails=True)
    assert live_jobs("tiny-1") is None

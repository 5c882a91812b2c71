"""With an accounting database: accounts are checked before, and `sacct` says how jobs ended."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.slurm.accounting import Database, why_no_accounting
from tests.slurm.cluster import two_nodes, why_not
from tests.slurm.training import PROFILE, Training, job_with_a_save

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SITE = "account: lab\nqos: long"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster with an accounting database, where this user has the account `lab`, with QOS `long`."""
    reason = why_not() or why_no_accounting()
    if reason is not None:
        pytest.skip(reason)
    with two_nodes(tmp_path_factory.mktemp("slurm"), Database()):
        for words in ("qos long", "account lab", "account other", "user root account=lab qos=normal,long"):
            subprocess.run(["sacctmgr", "-i", "add", *words.split()], check=True, capture_output=True)
        yield


@pytest.mark.usefixtures("accounts")
def test_a_cancelled_job_is_submitted_again_in_the_name_of_the_account(training: Training, undisturbed: str) -> None:
    site = training.project.folder / "site.yaml"
    for text, told in [
        ("account: mine", "account 'mine' is not yours; set one of lab, root in site.yaml"),
        ("account: lab\nqos: gone", "QOS 'gone' is not of account 'lab'; set one of long, normal in site.yaml"),
        ("qos: gone", "train: sbatch says: allocation failure: Invalid qos specification"),
    ]:
        site.write_text(text)
        assert told in training.snakemake(*PROFILE, check=False).stderr
    site.write_text(SITE)
    running = training.submit()
    try:
        first = job_with_a_save(training, running)
        subprocess.run(["scancel", first], check=True)
        assert running.wait() == 0, training.log()
    finally:
        running.kill()
    checkpoint = training.checkpoint()[1]
    assert checkpoint.digest == undisturbed
    last = checkpoint.provenance["slurm_job"]
    command = ["sacct", "-nPX", "--format=JobIDRaw,State,Account,QOS"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.replace("CANCELLED by 0", "CANCELLED") for line in found] == [
        f"{first}|CANCELLED|lab|long",
        f"{last}|COMPLETED|lab|long",
    ]

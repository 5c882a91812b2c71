"""One command on each of several hosts: what it is given, and how all of them end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from unix_lib.cluster.hosts import Host, HostError, hosts_of, read_hostfile, require_reachable, run_on

# Runs what a remote shell would run, without a host: its arguments are the host's name and the command.
HERE = "sh -c 'exec sh -c \"$1\"'"
HOSTS = [Host("one", 1), Host("two", 1)]


def test_a_hostfile_of_deepspeed_is_read(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("# the machines\nworker-1 slots=8\n\nworker-2   slots=4 # old\n")
    assert read_hostfile(tmp_path / "hosts") == [Host("worker-1", 8), Host("worker-2", 4)]
    assert hosts_of(tmp_path / "hosts", 1, 4) == [Host("worker-1", 8)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("worker-1", "line 1: 'worker-1'; write `<host> slots=<processes>`"),
        ("worker-1 slots=0", "line 1"),
        ("worker-1 8", "line 1"),
        ("a slots=1\na slots=2", "line 2: a is no host, or stands there twice"),
        ("-oProxyCommand=x slots=1", "line 1: -oProxyCommand=x is no host"),
        ("# none\n", "names no host"),
    ],
)
def test_another_file_is_refused_with_the_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "hosts").write_text(text)
    with pytest.raises(HostError) as caught:
        read_hostfile(tmp_path / "hosts")
    assert told in str(caught.value)


def test_too_few_hosts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a slots=8\nb slots=4\n")
    with pytest.raises(HostError, match=r"1 of its 2 host\(s\) have 8 slot\(s\).*asks for 2 such"):
        hosts_of(tmp_path / "hosts", 2, 8)
    with pytest.raises(HostError, match=r"can't be read \(FileNotFoundError\)"):
        hosts_of(tmp_path / "none", 1, 1)


def test_each_host_has_its_command_and_the_environment_and_folder_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [["sh", "-c", f'echo "$WORD $PWD" > {tmp_path}/{host.name}'] for host in HOSTS]
    assert run_on(HOSTS, HERE, commands, {**os.environ, "WORD": 'one\'s "own"\nline'}) == 0
    assert [(tmp_path / host.name).read_text() for host in HOSTS] == [f'one\'s "own"\nline {Path.cwd()}\n'] * 2


def test_the_first_that_fails_ends_the_others(tmp_path: Path) -> None:
    waits = f"trap 'touch {tmp_path}/told; exit 1' TERM; touch {tmp_path}/waits; while :; do sleep 0.1; done"
    fails = f"while [ ! -e {tmp_path}/waits ]; do sleep 0.1; done; exit 7"
    assert run_on(HOSTS, HERE, [["sh", "-c", waits], ["sh", "-c", fails]], os.environ) == 7
    assert (tmp_path / "told").exists()


def test_a_signal_ends_all_who_may_end_in_their_own_time(tmp_path: Path) -> None:
    saves = [
        f"trap 'sleep 0.5; touch {tmp_path}/saved-{host.name}; exit 0' TERM; touch {tmp_path}/{host.name}; "
        "while :; do sleep 0.1; done"
        for host in HOSTS
    ]

    def end_when_all_run() -> None:
        while not all((tmp_path / host.name).exists() for host in HOSTS):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_when_all_run).start()
    assert run_on(HOSTS, HERE, [["sh", "-c", one] for one in saves], os.environ) == 128 + signal.SIGTERM
    assert all((tmp_path / f"saved-{host.name}").exists() for host in HOSTS)


def test_hosts_end_when_the_one_that_started_them_is_killed_outright(tmp_path: Path) -> None:
    waits = f"trap 'touch {tmp_path}/told; exit 1' TERM; touch {tmp_path}/waits; while :; do sleep 0.1; done"
    start = (
        "import os; from unix_lib.cluster.hosts import *; "
        f"run_on([Host('one', 1)], {HERE!r}, [['sh', '-c', {waits!r}]], os.environ)"
    )
    starter = subprocess.Popen([sys.executable, "-c", start])
    _until(tmp_path / "waits")
    starter.kill()
    starter.wait()
    _until(tmp_path / "told")


def _until(path: Path) -> None:
    ends = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_hosts_that_cannot_be_used_are_named_together(tmp_path: Path) -> None:
    asks = tmp_path / "asks"
    asks.write_text('case $1 in far) echo "no route to far" >&2; exit 255;; esac\nexec sh -c "$2"\n')
    require_reachable(HOSTS, f"sh {asks}", [tmp_path])
    with pytest.raises(HostError, match=r"can't be used: far \(no route to far\); `sh .*asks <host> true` must work"):
        require_reachable([*HOSTS, Host("far", 1)], f"sh {asks}")
    with pytest.raises(HostError, match=r"one \(exit status 1\); two \(exit status 1\)"):
        require_reachable(HOSTS, f"sh {asks}", [tmp_path / "only elsewhere"])
    with pytest.raises(HostError, match=r"'no-such-shell -x' of site\.yaml: no such program"):
        require_reachable(HOSTS, "no-such-shell -x")


def test_a_remote_shell_that_passes_nothing_on_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_on(HOSTS[:1], "sh -c 'exec sh -c \"$1\" < /dev/null'", [["true"]], os.environ) == 1
    assert "must pass it on" in capfd.readouterr().err

"""Several machines without a scheduler: one launcher on each host of a hostfile, started through a remote shell.

What starts them stays: it keeps the job's locks, and holds the standard input of every host open. Through it a host is
told what to start, with this environment and in this folder, and by its end to end: so a signal here, an error on one
host or the loss of a connection lets every host save and leave.
"""

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import NoReturn, TextIO

from unix_lib.artefacts.errors import UserError

POLL_SECONDS = 0.5
PR_SET_PDEATHSIG = 1  # of Linux's prctl
# Of a host's own: what it is called and where its user's things are.
OWN = ("HOSTNAME", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "PWD", "OLDPWD", "DISPLAY", "SSH_")
FOLLOW = "import sys; from unix_lib.cluster.hosts import follow; follow(sys.stdin)"


class HostError(UserError):
    """A hostfile, or a host of it, that can't be used."""


@dataclass(frozen=True)
class Host:
    """A line of a hostfile."""

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """Hosts of a file as DeepSpeed's: a line `<host> slots=<processes>` each, `#` begins a comment.

    Raises:
        HostError: the file can't be read, or has another line, a host twice, or none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(
            f"hostfile {path}: can't be read ({type(error).__name__}); see `hostfile` in site.yaml"
        ) from None
    hosts: list[Host] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        slots = words[1].removeprefix("slots=") if len(words) == 2 else ""
        if not slots.isdigit() or int(slots) < 1 or words[1] == slots:
            raise HostError(f"hostfile {path}, line {number}: {line.strip()!r}; write `<host> slots=<processes>`")
        if words[0].startswith("-") or words[0] in {host.name for host in hosts}:
            raise HostError(f"hostfile {path}, line {number}: {words[0]} is no host, or stands there twice")
        hosts.append(Host(words[0], int(slots)))
    if not hosts:
        raise HostError(f"hostfile {path}: names no host; write a line `<host> slots=<processes>` for each")
    return hosts


def hosts_of(path: Path, nodes: int, processes: int) -> list[Host]:
    """The first `nodes` hosts of a file with room for so many processes each.

    Raises:
        HostError: there are fewer; also as of `read_hostfile`.
    """
    hosts = read_hostfile(path)
    roomy = [host for host in hosts if host.slots >= processes]
    if len(roomy) < nodes:
        raise HostError(
            f"hostfile {path}: {len(roomy)} of its {len(hosts)} host(s) have {processes} slot(s), and the job's shape "
            f"asks for {nodes} such; add hosts, or lower train.job.nodes or train.job.gpus"
        )
    return roomy[:nodes]


def run_on(
    hosts: Sequence[Host], remote_shell: str, commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> int:
    """Run a command on each host, to the end of all of them; the first one that fails ends the others.

    Args:
        hosts: where.
        remote_shell: such as `ssh`; called with a host's name and a command.
        commands: by host.
        environment: of all commands, but for what is a host's own.

    Returns:
        0, the exit status of the command that failed first, or 128 and the signal that ended all.
    """
    start = f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.quote(sys.executable)} -c {shlex.quote(FOLLOW)}"
    shared = {name: value for name, value in environment.items() if not name.startswith(OWN)}
    signals: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: signals.append(number))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    running: list[subprocess.Popen[str]] = []
    status = 0
    try:
        for host, command in zip(hosts, commands, strict=True):
            # Sessions of their own: signals to this one's group end the hosts through their standard input, not here.
            running.append(
                subprocess.Popen(
                    [*shlex.split(remote_shell), host.name, start], stdin=PIPE, text=True, start_new_session=True
                )
            )
            _tell(running[-1], {"command": list(command), "environment": shared})
        while any(process.poll() is None for process in running):
            failed = [process.returncode for process in running if process.returncode]
            if not status and (signals or failed):
                status = 128 + signals[0] if signals else failed[0]
                names = [host.name for host, process in zip(hosts, running, strict=True) if process.returncode]
                print(f"{', '.join(names) or 'a signal'} ended with {status}: all hosts end", file=sys.stderr)
                for process in running:
                    _tell(process, None)
            time.sleep(POLL_SECONDS)
    finally:
        for process in running:
            _tell(process, None)
        for number, handler in before.items():
            signal.signal(number, handler)
    return status or next((process.returncode for process in running if process.returncode), 0)


def _tell(process: "subprocess.Popen[str]", orders: dict[str, object] | None) -> None:
    """Send a host its orders, or that it is to end; one that ended already does without."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        if orders is None:
            process.stdin.close()
        else:
            process.stdin.write(json.dumps(orders) + "\n")
            process.stdin.flush()


def follow(told: TextIO) -> NoReturn:
    """On a host: run the command that the first line of standard input says, and end it when the input ends."""
    line = told.readline()
    if not line:
        sys.exit("nothing came through standard input: the remote shell of site.yaml must pass it on")
    orders = json.loads(line)
    own = {name: value for name, value in os.environ.items() if name.startswith(OWN)}
    process = subprocess.Popen(
        orders["command"],
        env=orders["environment"] | own,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509  # no thread is started before
    )

    def end_with_input() -> None:
        told.read()
        process.terminate()

    threading.Thread(target=end_with_input, daemon=True).start()
    sys.exit(process.wait())


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent was killed outright (Linux only)."""
    control = getattr(ctypes.CDLL(None), "prctl", None)
    if control is not None:
        control(PR_SET_PDEATHSIG, signal.SIGTERM)

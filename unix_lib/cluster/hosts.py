"""Several machines without a scheduler: one launcher on each host of a hostfile, started through a remote shell.

What starts them stays: it keeps the job's locks, and holds the standard input of every host open. Through it a host is
told what to start, with this environment and in this folder, and by its end to end: so a signal here, an error on one
host or the loss of a connection lets every host save and leave.
"""

import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import NoReturn, TextIO

from unix_lib.artefacts.errors import UserError

POLL_SECONDS = 0.5
SECONDS_TO_ANSWER = 60
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


def require_reachable(hosts: Sequence[Host], remote_shell: str, files: Sequence[Path] = ()) -> None:
    """See that every host can be logged in to, and has this folder, this Python and these files under the same paths.

    Raises:
        HostError: names all hosts where that is not so, each with what was said there.
    """
    there = [f"test -e {shlex.quote(str(path.absolute()))}" for path in files]
    check = " && ".join([_here(), *there, f"exec {shlex.quote(sys.executable)} -c 'import unix_lib.cluster.hosts'"])
    asked = [
        subprocess.Popen(
            [*_shell(remote_shell), host.name, check], stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, text=True
        )
        for host in hosts
    ]
    faults: list[str] = []
    ends = time.monotonic() + SECONDS_TO_ANSWER
    for host, process in zip(hosts, asked, strict=True):
        try:
            told = process.communicate(timeout=max(0.0, ends - time.monotonic()))[1].split("\n")
            why = next((line.strip() for line in reversed(told) if line.strip()), f"exit status {process.returncode}")
        except subprocess.TimeoutExpired:
            process.kill()
            why = f"no answer within {SECONDS_TO_ANSWER} s"
        if process.returncode != 0:
            faults.append(f"{host.name} ({why})")
    if faults:
        raise HostError(
            f"hosts that can't be used: {'; '.join(faults)}; `{remote_shell} <host> true` must work without a "
            f"password, and {Path.cwd()} with its .venv and results be the same folder on every host"
        )


def _shell(remote_shell: str) -> list[str]:
    """The words of a remote shell.

    Raises:
        HostError: there is no such program here.
    """
    words = shlex.split(remote_shell)
    if not words or shutil.which(words[0]) is None:
        raise HostError(f"remote_shell: {remote_shell!r} of site.yaml: no such program on this machine; install it")
    return words


def _here() -> str:
    return f"cd {shlex.quote(str(Path.cwd()))}"


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
    start = f"{_here()} && exec {shlex.quote(sys.executable)} -c {shlex.quote(FOLLOW)}"
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
            # `sh` keeps the files of this job's locks, which ssh would close: where this process is killed outright,
            # nobody gets a lock before the last host has saved and left.
            running.append(
                subprocess.Popen(
                    ["sh", "-c", '"$@"; exit $?', "sh", *_shell(remote_shell), host.name, start],
                    stdin=PIPE,
                    text=True,
                    start_new_session=True,
                    close_fds=False,
                )
            )
            _tell(running[-1], {"command": list(command), "environment": shared})
        while None in [process.poll() for process in running]:
            failed = [process.returncode for process in running if process.returncode]
            if not status and (signals or failed):
                status = 128 + signals[0] if signals else failed[0]
                names = [host.name for host, process in zip(hosts, running, strict=True) if process.returncode]
                why = f"signal {signals[0]}" if signals else f"{', '.join(names)} ended with exit status {status}"
                print(f"{why}: the processes on all hosts are told to save and leave", file=sys.stderr, flush=True)
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
        preexec_fn=partial(signal_with_parent, signal.SIGTERM),  # noqa: PLW1509  # no thread is started before
    )

    def end_with_input() -> None:
        # Past Python's buffer: a thread that reads through it when the interpreter ends makes that abort.
        while os.read(told.fileno(), 1024):
            pass
        process.terminate()

    threading.Thread(target=end_with_input, daemon=True).start()
    sys.exit(process.wait())


def signal_with_parent(number: int) -> bool:
    """Have the kernel signal this process when its parent ends, however that ends; False where it can't (not Linux)."""
    control = getattr(ctypes.CDLL(None), "prctl", None)
    return control is not None and control(PR_SET_PDEATHSIG, number) == 0

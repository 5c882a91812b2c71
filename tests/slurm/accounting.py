"""An accounting database for the test cluster: MariaDB and `slurmdbd`, for as long as the cluster runs.

Only jobs of accounts that the database knows are taken (`AccountingStorageEnforce`).
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.slurm.cluster import ETC, READY_SECONDS, Accounting, daemon, free_ports

PROGRAMS = ("mariadbd", "mariadb-install-db", "slurmdbd", "sacctmgr", "sacct")

DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={storage}
StorageUser=root
StorageLoc=slurm
"""


def why_no_accounting() -> str | None:
    """Why there can be no database here; None where there can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(missing)} here (Debian packages slurmdbd and mariadb-server)" if missing else None


class Database(Accounting):
    """With an accounting database."""

    def __init__(self) -> None:
        self._storage, self._port = free_ports(2)

    def config(self, folder: Path) -> str:
        return (
            "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
            f"AccountingStoragePort={self._port}\nAccountingStoragePass={folder}/munge.socket\n"
            "AccountingStorageEnforce=associations,qos"
        )

    @contextmanager
    def running(self, folder: Path) -> Iterator[None]:
        data, settings = f"--datadir={folder}/db", ETC / "slurmdbd.conf"
        install = ["mariadb-install-db", "--no-defaults", data, "--user=root", "--skip-test-db"]
        subprocess.run([*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
        address = ["--bind-address=127.0.0.1", f"--port={self._storage}", f"--socket={folder}/db.socket"]
        serve = ["mariadbd", "--no-defaults", data, "--user=root", f"--pid-file={folder}/db.pid", *address]
        try:
            settings.touch(0o600)
            settings.write_text(DATABASE.format(folder=folder, port=self._port, storage=self._storage))
            with daemon(folder, "mariadbd", *serve):
                until_it_answers("mariadb-admin", "--no-defaults", "-uroot", f"--socket={folder}/db.socket", "ping")
                with daemon(folder, "slurmdbd", "slurmdbd", "-D"):
                    until_it_answers("sacctmgr", "-n", "show", "cluster")
                    yield
        finally:
            settings.unlink(missing_ok=True)


def until_it_answers(*command: str) -> None:
    """Repeat a command until it succeeds."""
    limit = time.monotonic() + READY_SECONDS
    while (told := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
        assert time.monotonic() < limit, told.stderr
        time.sleep(0.5)

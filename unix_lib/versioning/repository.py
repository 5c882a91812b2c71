"""The project's DVC repository: what is kept is committed and pushed, what others kept is fetched and added.

Unlike `dvc pull`, adding deletes nothing: artefacts are named by digests, so what two people made lies side by side.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unix_lib.artefacts.errors import UserError

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.stage import Stage

LOCKS = (".dvc/tmp/lock", ".dvc/tmp/rwlock")


class SharingError(UserError):
    """DVC could not do what was asked; the message says what to do."""


@contextmanager
def repository() -> Iterator["Repo"]:
    """DVC's repository in the working directory, whose errors are a line with a remedy.

    Raises:
        SharingError: from whatever is done with it.
    """
    from dvc.exceptions import DvcException, FileTransferError, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError

    try:
        with Repo(".") as repo:
            yield repo
    except NotDvcRepoError:
        raise SharingError(
            f"{Path.cwd()}: no DVC repository; clone the project with git instead of copying it"
        ) from None
    except (LockError, RWLockFileCorruptedError, RWLockFileFormatError):
        held = Path(LOCKS[0]).read_text(encoding="utf-8").strip() if Path(LOCKS[0]).is_file() else ""
        raise SharingError(
            f"another DVC process{f' ({held})' if held else ''} is at work here: wait until it ends; where there "
            f"is none any more, delete {' and '.join(LOCKS)}"
        ) from None
    except FileTransferError as error:
        raise SharingError(f"{error.amount} files did not arrive, the others did: run the same command again") from None
    except DvcException as error:
        raise SharingError(f"DVC: {str(error).strip()}") from None


def stages_of(repo: "Repo", pipeline: Path) -> list["Stage"]:
    """The stages of a `dvc.yaml`."""
    return list(repo.stage.collect(str(pipeline)))


def kept_outs(stage: "Stage") -> list["Output"]:
    """Outputs of a stage that DVC keeps; the others are git's."""
    return [out for out in stage.outs if out.use_cache]


def require_remote(repo: "Repo", *, must_exist: bool) -> str:
    """Address of the remote, once it has answered.

    Raises:
        SharingError: it needs a package, can't be reached, or, where it must exist, has nothing.
    """
    name = repo.config["core"].get("remote", "")
    mend = f"`dvc remote modify {name} url <address>` names another place (docs/sharing.md)"
    try:
        remote = repo.cloud.get_remote()
        address: str = remote.fs.unstrip_protocol(remote.path) if remote.fs.protocol != "local" else remote.path
        exists = remote.odb.fs.exists(remote.path)
    except ImportError as error:  # "s3 is supported, but requires 'dvc-s3' to be installed"
        raise SharingError(f"remote '{name}': {error}: `.venv/bin/pip install` it") from None
    except Exception as error:  # each kind of remote has its own
        raise SharingError(
            f"remote '{name}' can't be reached ({(str(error).strip() or type(error).__name__).splitlines()[0]}); {mend}"
        ) from None
    if must_exist and not exists:
        raise SharingError(f"remote '{name}' at {address} does not exist, so nobody has pushed there; {mend}")
    return address


def add_kept(out: "Output") -> int:
    """Add the files of an output that are missing here or differ, from the cache; returns how many.

    Raises:
        SharingError: the remote did not have them.
    """
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.checkout import CheckoutError, checkout
    from dvc_data.hashfile.tree import Tree

    kept = out.get_obj()
    if not isinstance(kept, Tree):
        raise SharingError(f"{out}: the remote does not have what dvc.lock names; ask who committed it to `make push`")
    wanted, found = dict(kept.iteritems()), {}
    if out.exists:
        _, _, built = build(out.cache, out.fs_path, out.fs, out.hash_name, dry_run=True, ignore=out.dvcignore)
        assert isinstance(built, Tree)
        found = dict(built.iteritems())
    here = Tree()  # without what is kept nowhere, which DVC would delete
    for key in wanted.keys() & found.keys():
        here.add(key, *found[key])
    here.digest()
    try:
        checkout(out.fs_path, out.fs, kept, out.cache, force=True, state=out.repo.state, old=here)
    except CheckoutError as error:
        raise SharingError(f"{len(error.paths)} files of {out} are not in the remote; ask for a `make push`") from None
    return sum(found.get(key, (None, None))[1] != oid for key, (_, oid) in kept.iteritems())

"""The code that runs: which folder it is imported from, and which version, commit and state of it that is."""

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import unix_lib
from unix_lib.artefacts.errors import UserError

PACKAGE = Path(unix_lib.__file__).resolve().parent
CODE = ("unix_lib", "scripts")  # of a clone: what a job runs
MODULES = ("unix_lib/*.py", "scripts/*.py")  # git's `*` reaches into folders
SECONDS_FOR_GIT = 60
NO_CHECKOUT = "not a git checkout of its own"


class CodeError(UserError):
    """The code that runs is not the code that it is taken for."""


def require_library(root: Path) -> None:
    """Check that the imported library is that of the clone whose workflow, script or command runs.

    Args:
        root: a clone; a folder without a library of its own goes with any (one that is installed, not cloned).

    Raises:
        CodeError: names both.
    """
    own = root / "unix_lib"
    if (own / "__init__.py").is_file() and not own.samefile(PACKAGE):
        raise CodeError(
            f"{own} is not the library that Python imports, which is {PACKAGE}; run `make setup` in {root.resolve()} "
            "and use its .venv, or let PYTHONPATH begin with that folder"
        )


def require_logic_version(what: str, planned: int, own: int) -> None:
    """Check that what runs computes as the recipe says.

    Args:
        what: runs, in words.
        planned, own: logic version in the recipe and of the code.

    Raises:
        CodeError: names both.
    """
    if planned != own:
        raise CodeError(
            f"{what}: planned with logic version {planned}, but the code here has {own}; run the workflow again, which "
            "plans anew"
        )


@cache
def code_at_start() -> dict[str, Any]:
    """`code_version` as it was at the first call, with which a process begins."""
    return code_version()


def code_version(package: Path = PACKAGE) -> dict[str, Any]:
    """What the code is now.

    Args:
        package: its folder, in a clone, a release or an environment.

    Returns:
        `version`; `library`, a SHA-256 over its modules, hexadecimal; `commit`, and `dirty`, whether a module was
        changed or added since. A commit is that of a repository whose root the clone is, and which has the package;
        where it isn't known it is null, and `unknown` says why.
    """
    return {"version": unix_lib.__version__, "library": _digest(package), **_commit(package.parent)}


def described(code: dict[str, Any]) -> str:
    """A manifest's code in a few words; "" where it says nothing of it, as those of earlier versions could."""
    name = code.get("commit") or (f"version {code['version']} ({code['unknown']})" if "version" in code else "")
    changes = " (changed)" * bool(code.get("dirty")) + " (changed during the job)" * ("at_end" in code)
    return f"{name}{changes}" if name else ""


def _digest(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:  # an editor's file that is gone again, or one that nobody can import
            continue
        digest.update(os.fsencode(path.relative_to(package)) + f"\0{content}\n".encode())
    return digest.hexdigest()


def _commit(root: Path) -> dict[str, Any]:
    try:
        top, commit = _git(root, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        added = _git(root, "ls-files", "--others", "--", *MODULES).splitlines()  # also what .gitignore names
        if not root.samefile(top) or "unix_lib/__init__.py" in added:
            return {"commit": None, "unknown": NO_CHECKOUT}
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *CODE)
    except subprocess.CalledProcessError as error:
        return {"commit": None, "unknown": error.stderr.strip().partition("\n")[0] or str(error)}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {"commit": None, "unknown": str(error)}
    return {"commit": commit, "dirty": bool(added or changed)}


def _git(root: Path, *arguments: str) -> str:
    """Output of git on a folder, whatever git's own variables say, and without taking a lock that a commit may need."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "--no-optional-locks", "-C", str(root), *arguments],
        env=environment | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_FOR_GIT,
    ).stdout

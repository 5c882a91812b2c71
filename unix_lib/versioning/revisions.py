"""Results as a git revision has them: its tables from git, and what DVC kept of scores, figures and recipes."""

from pathlib import Path

import yaml

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import RECIPE
from unix_lib.compare.side import Planned
from unix_lib.recipes.plan import STAGES
from unix_lib.versioning.pipeline import locked_digests, pipeline_path
from unix_lib.versioning.repository import SharingError

WHOLE = {"evaluate": (".parquet",), "figures": (".csv",)}  # stages, and which of their files are read


def bring(revision: str, experiment: str, folder: Path) -> tuple[Planned | None, list[str]]:
    """Copy what a comparison reads to `folder`; returns what that revision planned, and what could not be had.

    Raises:
        SharingError: git knows no such revision, or it has nothing of the experiment.
    """
    from dvc.api import DVCFileSystem
    from dvc.scm import RevError

    try:
        files = DVCFileSystem(rev=revision)
        files.ls("/")
    except RevError:
        raise SharingError(f"{revision}: no config, no results folder and no revision that git knows") from None
    results, lock = f"results/{experiment}", pipeline_path(experiment).with_name("dvc.lock").as_posix()
    stages = yaml.safe_load(files.read_text(lock))["stages"] if files.exists(lock) else {}
    planned = locked_digests(stages, experiment)
    missing = 0
    for stage in ("summary", *STAGES):
        for path in files.find(f"{results}/{stage}") if files.isdir(f"{results}/{stage}") else ():
            if stage != "summary" and not path.endswith((f"/{MANIFEST}", f"/{RECIPE}", *WHOLE.get(stage, ()))):
                continue
            target = folder / Path(path).relative_to(results)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                files.get_file(path, str(target))
            except Exception:  # each kind of remote has its own
                target.unlink(missing_ok=True)
                missing += 1
    if not any(folder.iterdir()):
        raise SharingError(f"{revision} has nothing of {results}; name the experiment: {revision}:<experiment>")
    told = f"{revision}: {missing} files are neither in the cache nor in the remote; `dvc fetch` them where they are"
    return planned or None, [told] * bool(missing)

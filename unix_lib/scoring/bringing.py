"""Brings an artefact that lies anywhere to where jobs look for what they build on, without copying it."""

import os
from pathlib import Path

from unix_lib.artefacts.files import point_link
from unix_lib.artefacts.manifest import MANIFEST, open_artefact
from unix_lib.artefacts.sealed import remove
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.recipes.sharing import take


def bring(folder: Path, results: Path) -> str:
    """An artefact as one below `results`: a link to its folder, or its files where a file system has no links.

    Args:
        folder: the artefact's, whatever that is called now.

    Returns:
        `<stage>/<name>-<digest>`, by which recipes name it.

    Raises:
        ArtefactError: it is damaged.
    """
    manifest, origin = open_artefact(folder), folder.resolve()
    place = results / manifest.artefact
    if not place.is_symlink() and (place / MANIFEST).is_file():
        open_artefact(place)  # a copy, made where there are no links
    elif place.resolve() != origin:
        with Lock(lock_path(results / "work" / manifest.artefact)):
            if not place.is_symlink():
                remove(place)  # of a copy that was not finished
            if not point_link(place, Path(os.path.relpath(origin, place.parent.resolve()))):
                take(manifest.recipe, origin, place)
    return manifest.artefact

"""Why a job is due: what its recipe differs in from the newest finished one of its name."""

from pathlib import Path
from typing import Any

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import DIGEST_CHARACTERS, EarlierRecipe, Recipe, RecipeError, read_recipe


def reason_of(recipe: Recipe, results: Path, skipped: list[str]) -> str:
    """The reason in a few words; recipes that can't be read are added to `skipped`, a line each."""
    paths = [
        path
        for path in (results / "recipes" / recipe.stage).glob(f"{recipe.name}-{'?' * DIGEST_CHARACTERS}.json")
        if (results / recipe.stage / path.stem / MANIFEST).is_file()
    ]
    earlier = False
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            newest = read_recipe(path)
        except EarlierRecipe:
            earlier = True
            continue
        except RecipeError as error:
            skipped.append(str(error))
            continue
        if newest.kind != recipe.kind:
            return f"changed: {newest.kind} before"
        changed = changed_keys(newest.settings, recipe.settings)
        if changed:
            return "changed: " + ", ".join(changed)
        return "changed upstream" if newest.logic_version == recipe.logic_version else "new logic version"
    if earlier:
        return "made by an earlier version"
    return "earlier recipe unreadable" if paths else "never made"


def changed_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the settings that differ; a run's digest says only that others do."""
    keys: list[str] = []
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name), new.get(name)
        if name == "run_digest" or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            keys += changed_keys(before, after, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys

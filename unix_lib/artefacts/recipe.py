"""A recipe: what one job makes, written down before it is made.

A recipe is never changed. Its digest stands in the path of what it makes, so a changed key makes a new
path and a job runs exactly when its manifest is missing.
"""

import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import digest_of, replace_where_changed

RECIPE = "recipe.json"  # its name in the folder of the artefact that it made
DIGEST_CHARACTERS = 12  # 48 bits: a thousand artefacts collide with probability 2e-9


class RecipeError(UserError):
    """A recipe file that is missing or was changed."""


class EarlierRecipe(RecipeError):
    """A recipe of an earlier version of the library, which named no kind of job."""


@dataclass(frozen=True)
class Recipe:
    """Stage, name, kind of job, semantic settings, logic version and the artefacts it builds on."""

    stage: str
    name: str
    kind: str  # of job, within the stage
    logic_version: int
    settings: dict[str, Any]
    inputs: dict[str, str | list[str]] = field(default_factory=dict)  # role -> artefact(s), "stage/name-digest"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole recipe, hexadecimal."""
        return digest_of(self.as_json())

    @cached_property
    def key(self) -> str:
        """`<name>-<digest>`: the artefact's folder."""
        return f"{self.name}-{self.digest[:DIGEST_CHARACTERS]}"

    @cached_property
    def artefact(self) -> str:
        """`<stage>/<name>-<digest>`, relative to `results/<experiment>`."""
        return f"{self.stage}/{self.key}"

    @property
    def upstream(self) -> list[str]:
        """All artefacts it builds on, each once, in a fixed order."""
        return list(dict.fromkeys(artefact for role in self.inputs for artefact in self.in_role(role)))

    def in_role(self, role: str) -> list[str]:
        """Artefacts of one role; none where it is absent."""
        value = self.inputs.get(role, [])
        return [value] if isinstance(value, str) else list(value)

    def as_json(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def text(self) -> str:
        """What `write_recipe` writes."""
        return json.dumps(self.as_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def path(self, results: Path) -> Path:
        return results / "recipes" / self.stage / f"{self.key}.json"


def results_of(recipe: Path) -> Path:
    """The results that a planned recipe lies in; of one that lies elsewhere, the folder furthest up that its path
    names, so that also what refuses it can say where."""
    return [recipe, *recipe.parents][:4][-1]


def write_recipe(recipe: Recipe, results: Path) -> None:
    """Write a recipe where it is not there, or damaged."""
    replace_where_changed(recipe.path(results), recipe.text)


def read_recipe(path: Path) -> Recipe:
    """Read a planned recipe and check that it is the one its file name promises.

    Raises:
        RecipeError: missing, unreadable or changed.
    """
    return _checked(path, path.stem, "run the workflow again from the main process; it writes missing recipes")


def recipe_of(artefact: Path) -> Recipe:
    """The recipe that an artefact carries in its own folder, checked against the folder's name.

    Raises:
        RecipeError: missing, unreadable or changed.
    """
    return _checked(artefact / RECIPE, artefact.name, f"delete {artefact} and run the workflow again")


def _checked(path: Path, key: str, remedy: str) -> Recipe:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if "kind" not in values and f"{values['name']}-{digest_of(values)[:DIGEST_CHARACTERS]}" == key:
            raise EarlierRecipe(
                f"{path}: made by an earlier version; no config reaches it, `unix-lib prune` removes it"
            )
        recipe = Recipe(**values)
        own = recipe.key
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; {remedy}") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RecipeError(f"{path}: unreadable recipe ({error}); delete it, then {remedy}") from None
    if own != key:
        raise RecipeError(f"{path}: the recipe was changed (its digest now gives {own}); delete it, then {remedy}")
    return recipe

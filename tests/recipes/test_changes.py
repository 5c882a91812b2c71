"""Why a job is due, in a few words; recipes of earlier versions are recognised, never misread."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.recipes.finished import finish, small_plan
from unix_lib.artefacts.files import digest_of
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import EarlierRecipe, Recipe, RecipeError, read_recipe
from unix_lib.recipes.changes import reason_of
from unix_lib.recipes.prune import is_earlier, unreached


def test_reasons(tmp_path: Path) -> None:
    plan, skipped = small_plan(), []
    artefact = plan.checkpoint("unix", 10)
    recipe = plan.jobs[artefact].recipe
    assert reason_of(recipe, tmp_path, skipped) == "never made"
    finish(plan, artefact, tmp_path, 1)
    settings = json.loads(json.dumps(recipe.settings))
    settings["optimization"]["learning_rate"] = 0.5
    assert reason_of(replace(recipe, settings=settings), tmp_path, skipped) == "changed: optimization.learning_rate"
    assert reason_of(replace(recipe, inputs={}), tmp_path, skipped) == "changed upstream"
    assert reason_of(replace(recipe, logic_version=99), tmp_path, skipped) == "new logic version"
    path = recipe.path(tmp_path)
    path.write_text(path.read_text()[:40])
    assert reason_of(recipe, tmp_path, skipped) == "earlier recipe unreadable"
    assert len(skipped) == 1 and "unreadable recipe" in skipped[0]


def earlier_artefact(results: Path, recipe: Recipe) -> Path:
    """What an earlier version would have left under a recipe's name: no kind in it, so another digest."""
    values = recipe.as_json()
    del values["kind"]
    folder = results / recipe.stage / f"{recipe.name}-{digest_of(values)[:12]}"
    for path in (folder / "recipe.json", results / "recipes" / recipe.stage / f"{folder.name}.json", folder / MANIFEST):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return folder


def test_what_an_earlier_version_made_is_recognised(tmp_path: Path) -> None:
    plan, skipped = small_plan(), []
    recipe = plan.jobs[plan.pack("mixed")].recipe
    folder = earlier_artefact(tmp_path, recipe)
    assert reason_of(recipe, tmp_path, skipped) == "made by an earlier version" and not skipped
    of_recipes = tmp_path / "recipes" / "pack" / f"{folder.name}.json"
    with pytest.raises(EarlierRecipe, match="made by an earlier version"):
        read_recipe(of_recipes)
    assert unreached([plan], tmp_path) == [folder, of_recipes]
    assert is_earlier(folder) and is_earlier(of_recipes)
    finish(plan, plan.pack("mixed"), tmp_path, 1)
    assert unreached([plan], tmp_path) == [folder, of_recipes]
    assert reason_of(replace(recipe, inputs={}), tmp_path, skipped) == "changed upstream"


def test_all_that_a_job_leaves_is_unreached_with_it(tmp_path: Path) -> None:
    plan = small_plan()
    reached = plan.pack("mixed").partition("/")[2]
    forms = ("pack/{}", "recipes/pack/{}.json", "recipes/pack/{}.execution.json", "made/pack/{}", "logs/pack/{}.log",
             "logs/pack/attempts/{}.log.12", "benchmarks/pack/{}.tsv", "work/pack/{}", "work/pack/{}.lock")  # fmt: skip
    for form in forms:
        for key in (reached, f"mixed-{'0' * 12}"):
            path = tmp_path / form.format(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (tmp_path / ".file-hashes.json.abc.part").touch()
    unreached_now = unreached([plan], tmp_path)
    assert unreached_now == sorted(
        [tmp_path / form.format(f"mixed-{'0' * 12}") for form in forms] + [tmp_path / ".file-hashes.json.abc.part"]
    )


@pytest.mark.parametrize("text", ["", "[]", "null", '{"stage": "pa', "[" * 100_000])
def test_a_recipe_that_is_none_is_refused_in_one_line_with_the_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"mixed-{'0' * 12}.json"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"unreadable recipe .*; delete it, then run") as refused:
        read_recipe(path)
    assert len(str(refused.value).splitlines()) == 1

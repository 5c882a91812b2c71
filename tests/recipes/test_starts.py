"""Which run may start from which, and that the plan says so before anything is made."""

from typing import Any

import pytest

from tests.recipes.finished import small_plan
from unix_lib.config.strict import ConfigError

APART = {"attention_weights": "per_modality", "attention_scope": "within_modality", "ffn": "per_modality"}
UNIX = {"preset": "unix", "first": 1, "last": 1}


def chained(*plans: dict[str, Any]) -> Any:
    """A change of the small config: `unix` first, a run of each plan after it, each from the one before."""

    def change(values: dict[str, Any]) -> None:
        runs, before = values["train"]["runs"], "unix"
        for number, plan in enumerate(plans):
            start = {"kind": "run", "run": before}
            runs[f"a-{number}"] = runs["unix"] | {"plan": plan, "start": start}
            before = f"a-{number}"

    return change


def test_a_run_goes_on_from_one_with_its_plan() -> None:
    plan = small_plan(chained(UNIX, {"preset": "custom", "table": [APART, {}, {}, APART]}))
    (start,) = plan.jobs[plan.checkpoint("a-1", 30)].recipe.in_role("start")
    assert start == plan.checkpoint("a-0", 30)


def test_another_plan_than_that_of_separate_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"runs\.a-1\.plan: 'mot' can't go on from run 'a-0'.*\('unix 1:1'\)"):
        small_plan(chained(UNIX, {"preset": "mot"}))

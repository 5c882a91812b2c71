"""Checkpoints at shares of a run are those at the same steps."""

import copy
from typing import Any

import pytest

from tests.recipes.finished import ROOT, small_plan
from tests.workflow.small_config import CONFIG
from unix_lib.config import ConfigError, parse_experiment


def _steps(checkpoints: Any, total: int = 40) -> list[int]:
    values = copy.deepcopy(CONFIG)
    values["train"]["runs"]["unix"] |= {"checkpoints": checkpoints, "optimization": {"total_steps": total}}
    return parse_experiment(values, "test", ROOT).runs["unix"].checkpoints


def test_every_share_of_a_run_and_its_end() -> None:
    assert _steps({"every": "5%"}) == list(range(2, 41, 2))
    assert _steps({"every": "30%", "at_start": True}) == [0, 12, 24, 36, 40]
    assert _steps({"every": "5%"}, total=170_000)[::10] == [8500, 93_500]
    assert _steps({"every": "33.3%"}, total=30) == [10, 20, 30, 30][:3]
    assert _steps({"every": "100%"}) == [40]


def test_steps_and_shares_in_one_list() -> None:
    assert _steps([0, "12.5%", 20, "100%"]) == [0, 5, 20, 40]


def test_recipes_are_those_of_the_same_steps_listed_by_hand() -> None:
    def given(checkpoints: Any) -> list[str]:
        def change(values: Any) -> None:
            values["train"]["runs"]["unix"]["checkpoints"] = checkpoints

        return list(small_plan(change).jobs)

    assert given([0, 15, 30]) == given({"every": "50%", "at_start": True}) == given(["0%", "50%", "100%"])


@pytest.mark.parametrize(
    ("checkpoints", "told"),
    [
        ({"every": "1%"}, "checkpoints every 1% of 40 steps; a step is 2.5%"),
        ({"every": "0%"}, "a step is 2.5%"),
        ({"every": 0.05}, "0.05 is no share of the run; write it as 5%"),
        ({"every": "120%"}, "'120%' is no share"),
        ({"evry": "5%"}, "unknown key 'evry'"),
        (["5%", "5.1%"], "[2, 2] must rise"),
        (["half"], "'half' is no share"),
        ([10, "20%"], "[10, 8] must rise"),
        ([], "at least 1 item"),
        ("5%", "valid list"),
    ],
)
def test_what_is_no_checkpoint_is_refused(checkpoints: Any, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _steps(checkpoints)
    assert told in str(refused.value)

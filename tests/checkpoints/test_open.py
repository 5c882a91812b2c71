"""How prompts are put to a checkpoint that is named on the command line."""

from pathlib import Path
from typing import Any

from tests.recipes.finished import finish, small_plan
from unix_lib.checkpoints.open import wording_of
from unix_lib.config.generate import Wording


def test_prompts_are_put_as_the_mixture_of_its_run_puts_them_where_that_is_known(tmp_path: Path) -> None:
    def published(values: dict[str, Any]) -> None:
        values["pack"]["mixtures"]["mixed"] |= {"template": "published", "instruction_languages": ["de", "en"]}

    plan = small_plan(published)
    for run, expected in (("unix", Wording(template="published", language="de")), ("base", Wording())):
        checkpoint = plan.checkpoint(run, plan.checkpoint_steps(run)[-1])
        finish(plan, checkpoint, tmp_path, 1)
        assert wording_of(tmp_path / checkpoint) == expected == plan.wording(run)
    copy = tmp_path / "elsewhere" / "copied"
    copy.parent.mkdir()
    (tmp_path / plan.checkpoint("unix", 30)).rename(copy)
    assert wording_of(copy) == Wording()

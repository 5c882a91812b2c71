"""A config with own data has figures of them, whatever stage it ends after, and without naming an analysis."""

from typing import Any

import pytest

from tests.recipes.finished import small_plan
from unix_lib.recipes.plan import Plan

OWN = {"reconstructions", "text_cost", "heldout_loss", "caption_samples"}


def names(plan: Plan, stage: str) -> set[str]:
    return {plan.jobs[artefact].recipe.name for artefact in plan.of_stage(stage)}


def ending_after(*stages: str, figures: list[str] | None = None) -> Plan:
    """The small config without analyses of its own, and with some of its sections."""

    def cut(values: dict[str, Any]) -> None:
        for section in ("tokenizers", "pack", "train", "evaluate", "analyze"):
            if section not in stages:
                values.pop(section)
        values["figures"] = {} if figures is None else {"names": figures}

    return small_plan(cut)


def test_figures_of_own_data_wherever_a_config_ends() -> None:
    assert names(ending_after(), "figures") == set()
    encoded = ending_after("tokenizers")
    assert names(encoded, "figures") == {"reconstructions", "text_cost"} == names(encoded, "analyze")
    trained = ending_after("tokenizers", "pack", "train")
    assert names(trained, "figures") == OWN | {"loss_curves"}
    assert {f"heldout_loss-{run}-step-000{step}" for run in ("shared", "unix") for step in (10, 30)} < names(
        trained, "analyze"
    )


def test_the_last_checkpoint_of_each_compared_run_draws_captions_of_what_has_images() -> None:
    plan = ending_after("tokenizers", "pack", "train")
    jobs = {plan.jobs[a].recipe.name: plan.jobs[a].recipe for a in plan.of_kind("analyze", "caption_samples")}
    assert set(jobs) == {f"caption_samples-{run}-step-00030" for run in ("shared", "unix")}
    recipe = jobs["caption_samples-unix-step-00030"]
    assert {role for role in recipe.inputs if ":" in role} == {"records:digits", "images:digits", "codes:digits"}
    assert recipe.settings["image_sampling"] == plan.experiment.generate.image_sampling.semantic()


def test_what_no_figure_reads_is_not_made() -> None:
    assert names(ending_after("tokenizers", "pack", "train", figures=["loss_curves"]), "analyze") == set()
    assert names(ending_after("tokenizers", figures=["text_cost"]), "analyze") == {"text_cost"}


def test_a_named_analysis_takes_the_place_of_its_kind() -> None:
    def only_digits(values: dict[str, Any]) -> None:
        values["analyze"] = {"looks": {"kind": "reconstructions", "sources": ["digits"], "images": 9}}
        values["figures"] = {}

    plan = small_plan(only_digits)
    assert "looks" in names(plan, "analyze")
    assert "reconstructions" not in names(plan, "analyze")
    (figure,) = [a for a in plan.of_stage("figures") if plan.jobs[a].recipe.name == "reconstructions"]
    assert [plan.jobs[a].recipe.name for a in plan.jobs[figure].recipe.upstream] == ["looks"]


@pytest.mark.parametrize(("learned_from", "named"), [(["prose", "digits"], False), (["prose"], True)])
def test_notice_of_sources_that_the_text_tokenizer_never_sees(learned_from: list[str], named: bool) -> None:
    def learns(values: dict[str, Any]) -> None:
        values["tokenizers"]["text"]["sources"] = learned_from

    lines = [line for line in small_plan(learns).notices if "tokenizers.text does not learn from digits" in line]
    assert len(lines) == named


def test_a_step_that_is_no_checkpoint_is_named() -> None:
    def wrong(values: dict[str, Any]) -> None:
        values["analyze"] = {"heldout_loss": {"steps": [20]}}

    with pytest.raises(Exception, match=r"analyze\.heldout_loss\.steps: 20 is no checkpoint of run 'shared'"):
        small_plan(wrong)

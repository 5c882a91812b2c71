"""Benchmarks of one's own data, in three lines of a config: what is planned of them, and what is refused."""

import re
from typing import Any

import pytest
import yaml

from tests.recipes.finished import ROOT, small_plan
from unix_lib.config.strict import ConfigError


def with_own(benchmark: dict[str, Any]) -> Any:
    def change(values: dict[str, Any]) -> None:
        values["sources"]["mine"] = {"kind": "image_folder", "folder": "data/mine", "image_size": 32}
        values["sources"]["bare"] = values["sources"]["mine"] | {"captioned": False}
        values["evaluate"]["benchmarks"]["own"] = benchmark
        values["evaluate"]["groups"]["all"].append("own")

    return change


@pytest.mark.parametrize("split", ["heldout", "all"])
@pytest.mark.parametrize("scorer", ["caption_ranking", "image_distance"])
def test_a_source_that_no_run_learns_from_is_a_benchmark_in_three_lines(scorer: str, split: str) -> None:
    plan = small_plan(with_own({"scorer": scorer, "source": "mine", "split": split}))
    answers = [plan.jobs[a].recipe for a in plan.of_kind("generate", scorer)]
    assert [recipe.name for recipe in answers] == [
        f"{run}-step-000{step}-own" for run in ("shared", "unix") for step in ("00", "10", "30")
    ]
    for recipe in answers:
        assert recipe.inputs["records"] == plan.records("mine")
        assert ("codes" in recipe.inputs, "image_tokenizer" in recipe.inputs) == (
            (True, False) if scorer == "caption_ranking" else (False, True)
        )
    looked_at = [plan.jobs[a].recipe for a in plan.of_kind("evaluate", "judging")]
    assert [recipe.inputs["images"] for recipe in looked_at] == [plan.images("mine")] * len(looked_at)
    scores = [plan.jobs[a].recipe for a in plan.of_kind("evaluate", "scores")]
    assert [recipe.inputs["judging:own"] for recipe in scores if "judging:own" in recipe.inputs] == [
        recipe.artefact for recipe in looked_at
    ]


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        ({"scorer": "caption_ranking", "source": "prose"}, r"own\.source: 'prose' has no images"),
        ({"scorer": "caption_ranking", "source": "bare"}, r"own\.source: 'bare' has no images with captions"),
        ({"scorer": "image_distance", "source": "digits", "split": "all"}, r"own\.split: runs are trained on 'digits'"),
        ({"scorer": "dpg", "source": "digits"}, r"own\.source: 'digits' makes no dpg benchmark"),
        ({"scorer": "caption_ranking", "source": "nowhere"}, r"own\.source: unknown source 'nowhere'"),
        ({"scorer": "caption_ranking", "file": "mine.tsv"}, r"own: give exactly one of 'source', not none"),
        ({"scorer": "image_distance", "source": "digits", "file": "mine.tsv"}, r"own\.file: 'mine.tsv' is a source's"),
    ],
)
def test_what_cannot_be_asked_is_refused(benchmark: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small_plan(with_own(benchmark))


def test_genevals_own_prompts_need_nothing_and_a_judge_must_answer_what_it_is_asked() -> None:
    own = {"scorer": "geneval", "file": "geneval", "judge": "mine", "prompts": "zh.txt"}
    change = with_own(own)

    def with_judge(kind: dict[str, Any]) -> Any:
        def changed(values: dict[str, Any]) -> None:
            change(values)
            values["evaluate"]["judges"] = {"mine": kind}

        return changed

    plan = small_plan(with_judge({"kind": "command", "command": ["python3"]}))
    benchmark = plan.experiment.benchmarks["own"]
    assert [str(need.local) for need in benchmark.needs("own")] == ["zh.txt"]
    (first, *_) = (plan.jobs[a].settings for a in plan.of_kind("generate", "geneval"))
    assert (first.file, first.identity.count) == ("geneval", 1)  # and the wordings, once they are there
    only_questions = {"kind": "image_text", "model": {"path": "./model"}}
    with pytest.raises(ConfigError, match=r"own\.judge: a judge of kind image_text answers question, and it is asked"):
        small_plan(with_judge(only_questions))


def test_the_lines_in_the_docs_are_planned() -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(sources: .*?)```", text, re.DOTALL)]
    assert len(blocks) == 2

    def change(values: dict[str, Any]) -> None:
        for block in blocks:
            values["sources"] |= {name: source | {"image_size": 32} for name, source in block["sources"].items()}
            values["pack"]["mixtures"] |= block.get("pack", {"mixtures": {}})["mixtures"]
            values["analyze"] |= block.get("analyze", {})
        own = blocks[0]["evaluate"]["benchmarks"]
        values["evaluate"]["benchmarks"] |= {name: one | {"split": "heldout"} for name, one in own.items()}
        values["evaluate"]["groups"]["mine"] = list(own)

    plan = small_plan(change)
    measured = [plan.jobs[a].recipe.inputs["pack"] for a in plan.of_kind("analyze", "heldout_loss")]
    assert {plan.pack("mine"), plan.pack("mixed")} == {*measured}
    assert {"captions", "likeness"} <= plan.experiment.benchmarks.keys()

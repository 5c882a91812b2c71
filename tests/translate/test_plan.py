"""Translations in a config: jobs beside their sources, used wherever a source's records are, faults named."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.small_config import CONFIG
from unix_lib.config.load import parse_experiment
from unix_lib.config.strict import ConfigError
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
WORDING = {"language": "German", "model": "some-model"}


def planned(**translations: dict[str, Any]) -> Plan:
    values = copy.deepcopy(CONFIG)
    values["sources"]["scenes"] = {"kind": "shapes"}
    values["translate"] = {"translations": {name: WORDING | asked for name, asked in translations.items()}}
    for name in translations.keys() - values["sources"].keys():
        values["pack"]["mixtures"]["mixed"]["parts"].append({"source": name})
        values["analyze"]["entropy"]["sources"].append(name)
    return resolve(parse_experiment(values, "test", ROOT), ROOT)


def test_the_example_of_the_docs_loads() -> None:
    example = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "translation.md").read_text(), re.DOTALL)
    assert example is not None
    experiment = parse_experiment(yaml.safe_load(example.group(1)), "docs", ROOT / "config")
    assert experiment.translations["photos-zh"].parameters == {"max_tokens": 512}
    assert experiment.translate.endpoint.url == "http://localhost:8000/v1/chat/completions"


def test_a_translation_has_the_images_of_its_source() -> None:
    plan = planned(scenes_de={"source": "scenes"})
    inputs = plan.jobs[plan.pack("mixed")].recipe.inputs
    (records,) = plan.records("scenes_de")
    assert records.startswith("translate/scenes_de-")
    (tokens,) = inputs["tokens:scenes_de"]
    assert plan.jobs[tokens].recipe.inputs["records"] == records
    assert inputs["codes:scenes_de"] == plan.codes("scenes") != []
    assert plan.jobs[records].recipe.inputs == {"records": plan.records("scenes")[0]}
    assert [plan.jobs[name].recipe.name for name in plan.of_stage("encode")] == ["digits", "scenes"]
    (entropy,) = plan.of_kind("analyze", "entropy")
    assert plan.jobs[entropy].recipe.inputs["records:scenes_de"] == [records]


def test_what_is_asked_is_in_the_recipe_and_where_is_not() -> None:
    def digest(**more: Any) -> str:
        plan = planned(scenes_de={"source": "scenes"} | more)
        return plan.records("scenes_de")[0]

    assert digest() == digest(seed=218)
    different = [{"model": "other"}, {"language": "French"}, {"parameters": {"max_tokens": 9}}, {"keep": ["yes"]}]
    assert len({digest(), *(digest(**more) for more in different)}) == 5
    values = copy.deepcopy(CONFIG)
    before = resolve(parse_experiment(copy.deepcopy(values), "test", ROOT), ROOT)
    values["translate"] |= {"endpoint": {"url": "http://a/v1/chat/completions", "attempts": 2}, "answers": "elsewhere"}
    assert resolve(parse_experiment(values, "test", ROOT), ROOT).jobs.keys() == before.jobs.keys()


def test_a_source_in_parts_is_translated_part_by_part(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a" * 1_100_000)
    (tmp_path / "b.txt").write_text("b" * 1_100_000)
    values = {
        "experiment": "parts",
        "sources": {"prose": {"kind": "text", "corpus": "files", "files": ["*.txt"], "shard_megabytes": 1}},
        "translate": {"translations": {"prose-de": WORDING | {"source": "prose"}}},
    }
    plan = resolve(parse_experiment(values, "test", tmp_path), tmp_path)
    parts = plan.records("prose")
    assert len(parts) == 2
    assert [plan.jobs[name].recipe.name for name in plan.records("prose-de")] == ["prose-de", "prose-de-0001"]
    assert [plan.jobs[name].recipe.inputs["records"] for name in plan.records("prose-de")] == parts


def test_translated_benchmarks_are_scored_like_the_source_s() -> None:
    values = copy.deepcopy(CONFIG)
    values["sources"]["scenes"] = {"kind": "shapes"}
    asked = WORDING | {"source": "scenes", "records": False, "benchmarks": ["pope"]}
    values["translate"] = {"translations": {"scenes-de": asked}}
    values["evaluate"]["benchmarks"]["pope-de"] = {"scorer": "yes_no", "layout": "pope", "source": "scenes-de"}
    values["evaluate"]["groups"]["all"].append("pope-de")
    plan = resolve(parse_experiment(values, "test", ROOT), ROOT)
    (benchmarks,) = plan.of_stage("translate")
    assert plan.jobs[benchmarks].recipe.name == "scenes-de-benchmarks"
    answers = [plan.jobs[name].recipe for name in plan.of_stage("generate")]
    assert {recipe.inputs["benchmark"] for recipe in answers if recipe.name.endswith("pope-de")} == {benchmarks}


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("digits-de", {"source": "digit"}, "translate.translations.digits-de.source: unknown source 'digit'; did you"),
        (
            "digits",
            {"source": "digits"},
            "'digits' is the name of a source; rename one of them",
        ),
        ("digits-records", {"source": "digits"}, "'digits-records' is what the records of source 'digits' are called"),
        ("Deutsch", {"source": "digits"}, "translate.translations: 'Deutsch' can't be a folder name"),
        ("prose-de", {"source": "prose", "benchmarks": ["pope"]}, "source 'prose' makes no pope benchmark, but cloze"),
        ("prose-de", {"source": "prose", "benchmarks": ["cloze"]}, "translations.prose-de.benchmarks.*'cloze'"),
        ("prose-de", {"source": "prose", "records": False}, "nothing to translate"),
        ("prose-de", {"source": "prose", "parameters": {"n": 2}}, "'n' does not belong here"),
        ("prose-de", {"source": "prose", "keep": [""]}, "an empty text stands in every text"),
    ],
)
def test_what_can_t_be_translated_is_named(name: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        planned(**{name: asked})


def test_a_translation_without_records_is_no_source_of_a_mixture() -> None:
    with pytest.raises(ConfigError, match=r"pack.mixtures.mixed.parts: unknown source 'scenes_de'"):
        planned(scenes_de={"source": "scenes", "records": False, "benchmarks": ["pope"]})

"""`evaluate` on the command line: lists and checkpoints, tables, and what is wrong with them in a line each."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner, Result

from tests.endpoints.fake import endpoint
from tests.evaluate.conftest import SmallExperiment, small  # noqa: F401  a fixture
from tests.scoring import tiny_server
from tests.scoring.small_list import SmallList
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.commands import evaluate as command
from unix_lib.config import load_experiment
from unix_lib.scoring.benchmarks import all_benchmarks, chosen
from unix_lib.scoring.lists import ScoredEndpoint, ScoredModel, StartedServer, read_list

ROOT = Path(__file__).parents[2]


@pytest.fixture
def listed(small: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallList:  # noqa: F811
    listed = SmallList(small, tmp_path)
    monkeypatch.setattr(command, "EVALUATED", listed.results)
    return listed


def evaluated(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *arguments], env={"COLUMNS": "250"})
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_checkpoints_and_their_options(listed: SmallList) -> None:
    listed.asked()
    model, table = listed.model, listed.folder / "scores.csv"
    result = evaluated(
        *(model["checkpoint"], "--config", str(listed.folder / "config.yaml"), "--device", "cpu", "--limit", "4"),
        *("--image-tokenizer", model["image_tokenizer"], "--benchmarks", "pope,geneval", "--guidance", "1.5"),
        *("--csv", str(table)),
    )
    assert result.exit_code == 0, result.stdout
    assert "pope (pope, greedy answers read by rules)" in result.stdout
    assert "geneval (geneval, 2 images a prompt; judge: scene_detector 1)" in result.stdout
    found = re.search(r"tiny-step-00000 +accuracy +[0-9.]+ +\[[0-9.]+, [0-9.]+\] +4 ", result.stdout)
    assert found is not None, result.stdout
    rows = list(csv.DictReader(table.open()))
    assert {row["model"] for row in rows} == {"tiny-step-00000"}
    assert {row["benchmark"] for row in rows} == {"geneval", "pope"}
    assert {row["n"] for row in rows if row["metric"] == "accuracy_minus_chance"} == {"4"}


def test_a_list_of_models_in_one_table(listed: SmallList) -> None:
    models = [{"name": "one", "limit": 3}, {"name": "two", "limit": 4}, {"name": "gone", "checkpoint": "nowhere"}]
    listed.asked(*models)
    result = evaluated(str(listed.folder / "list.yaml"), "--benchmarks", "pope")
    assert result.exit_code == 1 and "not scored gone: nowhere: no finished checkpoint here" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if " accuracy " in line]
    assert [(row[0], row[-1]) for row in rows] == [("one", "3"), ("two", "4")]


def test_a_benchmark_without_scores_is_an_exit_code(listed: SmallList) -> None:
    listed.asked({"benchmarks": ["pope", "mme"], "files": {"mme": "gone.tsv"}})
    result = evaluated(str(listed.folder / "list.yaml"))
    assert result.exit_code == 1 and "accuracy" in result.stdout
    assert "not scored tiny-step-00000: mme: benchmark mme: gone.tsv is missing; data/README.md says" in result.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": []}, "models: List should have at least 1 item"),
        ({"models": None}, "give a list 'models'"),
        ({"models": [{"checkpoint": "a", "cfg": 2.0}]}, "models.0: unknown key 'cfg'"),
        ({"models": [{"checkpoint": "a", "guidance": True}]}, "models.0.guidance: a number is needed"),
        ({"models": [{"checkpoint": None}]}, "models.0: give exactly one of 'checkpoint' and 'endpoint'"),
        (
            {"models": [{"endpoint": {"url": "http://a"}, "checkpoint": None, "server": {}}]},
            "models.0: a model behind an",
        ),
        ({"models": [{"endpoint": {"url": "http://a"}, "name": "A b", "checkpoint": None}]}, "should match pattern"),
        ({"models": [{"endpoint": {"url": "ftp://a"}, "name": "a", "checkpoint": None}]}, "models.0.endpoint.url: "),
        ({"defaults": [1]}, "'defaults' as keys that a model may have"),
        ({"benchmarks": {"x": {"scorer": "yes_not"}}}, "benchmarks.x: unknown scorer kind 'yes_not'; did you mean"),
        (
            {"benchmarks": {"x": {"scorer": "geneval", "source": "y"}}},
            "evaluate.benchmarks.x.source: unknown source 'y'",
        ),
        (
            {"benchmarks": {"x": {"scorer": "geneval", "file": "y", "judge": "z"}}},
            "evaluate.benchmarks.x.judge: unknown judge 'z'",
        ),
        ({"config": "nowhere.yaml"}, "nowhere.yaml: no such config"),
    ],
)
def test_what_a_list_cannot_say_is_named(listed: SmallList, change: dict[str, Any], message: str) -> None:
    listed.asked()
    path = listed.folder / "list.yaml"
    values = yaml.safe_load(path.read_text()) | change
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError) as refused:
        evaluated(str(path))
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_an_address_is_a_model(listed: SmallList) -> None:
    listed.asked()
    with endpoint(tiny_server.answer) as behind:
        url, config = behind.url.removesuffix("/chat/completions"), str(listed.folder / "config.yaml")
        result = evaluated(url, "--config", config, "--benchmarks", "pope", "--limit", "2")
        assert result.exit_code == 0 and len(behind.seen) == 2
    assert re.search(r" 127-0-0-1-[0-9]+ +accuracy ", result.stdout)


def test_a_device_that_is_not_there(listed: SmallList) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    listed.asked({"device": "cuda", "benchmarks": ["pope"], "limit": 1, "question_suffix": "never asked before"})
    result = evaluated(str(listed.folder / "list.yaml"))
    assert result.exit_code == 1 and "device cuda is not usable here; give cpu, or auto" in result.stdout


def test_a_list_stands_alone(listed: SmallList) -> None:
    listed.asked()
    with pytest.raises(UserError, match="a list of models stands alone"):
        evaluated(str(listed.folder / "list.yaml"), "some/checkpoint")


def test_the_list_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text()
    (example,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "models:" in block)
    (tmp_path / "list.yaml").write_text(example)
    wanted = read_list(tmp_path / "list.yaml", {"device": "cuda"})
    assert [model.max_answer_tokens for model in wanted.models] == [10, 10, 10]
    assert {model.device for model in wanted.models} == {"cuda"}
    every = all_benchmarks(wanted, load_experiment(ROOT / wanted.config))
    assert every.groups["ours"] == ["ours"] and {"mme", "pope"} <= chosen(wanted.models[1], every).benchmarks.keys()
    table = page.partition("| key of a model")[2].partition("\n\n")[0]
    for model in (ScoredModel, ScoredEndpoint, StartedServer):
        assert model.model_fields.keys() <= set(re.findall(r"`(\w+)`", table))

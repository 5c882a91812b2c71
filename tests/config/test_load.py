"""Every shipped config loads; every bad one is refused with the key and the remedy."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import CONFIG
from unix_lib.config import ConfigError, load_experiment, parse_experiment
from unix_lib.config.schema import schema_text
from unix_lib.config.strict import StrictModel
from unix_lib.config.train import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def refused(change: dict[str, Any]) -> str:
    """Message for the small config with dotted keys set to values."""
    values = copy.deepcopy(CONFIG)
    for dotted, value in change.items():
        *path, last = dotted.split(".")
        target = values
        for part in path:
            target = target.setdefault(part, {})
        target[last] = value
    with pytest.raises(ConfigError) as caught:
        parse_experiment(values, origin="test", folder=ROOT / "config")
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_loads_and_is_named_after_its_file(path: Path) -> None:
    assert load_experiment(path).experiment == path.stem


def test_the_schema_is_up_to_date_and_describes_every_field() -> None:
    assert (ROOT / "config" / "schema.json").read_text() == schema_text(), "run `make schema`"
    schema = json.loads(schema_text())
    for name, model in schema["$defs"].items():
        for field, properties in model.get("properties", {}).items():
            if "$ref" in properties or field in ("kind", "preset"):
                continue
            assert properties.get("description"), f"{name}.{field} has no description"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"train.micro_bach": 2}, ["unknown key 'micro_bach'", "'micro_batch'"]),
        ({"pack.mixtures.mixed.parts": [{"source": "digit"}]}, ["unknown source 'digit'", "'digits'"]),
        ({"train.runs.unix.mixture": "mixd"}, ["train.runs.unix.mixture", "unknown mixture 'mixd'", "'mixed'"]),
        ({"train.runs.unix.start.run": "bse"}, ["unknown run 'bse'", "'base'"]),
        ({"train.runs.unix.plan.last": 3}, ["N + M = 1 + 3 leaves no shared layer of 4"]),
        ({"train.runs.unix.plan": {"preset": "moe", "every": 5}}, ["every 5 leaves no layer of 4"]),
        (
            {"train.runs.unix.plan": {"preset": "unix_shared_ffn", "first": 1, "last": 1, "shared_width": 0}},
            ["vision_width"],
        ),
        (
            {"train.runs.unix.plan": {"preset": "custom", "table": [{"ffn_vision_width": 8}] * 4}},
            ["belong to ffn 'shared_plus_vision'"],
        ),
        ({"train.attention": "flex_attention"}, ["'flex_attention' trains on GPUs only", "set attention: sdpa"]),
        (
            {"train.attention": "flash_attention_2", "train.job": {"gpus": 1}},
            ["'flash_attention_2' needs precision: bfloat16"],
        ),
        ({"tokenizers.image_separator_every": 7}, ["image_separator_every 7 does not divide an image's 64 codes"]),
        ({"train.runs.unix.plan": {"preset": "custom", "table": [{}]}}, ["has 1 rows for 4 layers"]),
        ({"train.runs.base.start": {"kind": "run", "run": "shared"}}, ["circle"]),
        ({"train.runs.unix.checkpoints": [10, 5]}, ["must rise"]),
        ({"train.runs.unix.checkpoints": [0, 31]}, ["checkpoint 31 lies after total_steps 30"]),
        ({"train.runs.unix.keep_best_every": 3}, ["has one checkpoint"]),
        ({"pack.length": 66}, ["pack.length 66 is too short for an image of 64 codes", "above 66"]),
        ({"sources.digits.image_size": 64}, ["sources.digits.image_size is 64", "32"]),
        ({"sources.digits": {"kind": "digit"}}, ["digit"]),
        ({"evaluate.benchmarks.cloze.scorer": "gpt4"}, ["gpt4"]),
        ({"evaluate.groups.all": ["cloze", "clze"]}, ["'clze'"]),
        ({"evaluate.groups.other": ["cloze"]}, ["'cloze' is in two groups"]),
        ({"evaluate.benchmarks.cloze.task": "arc_easy"}, ["exactly one of"]),
        ({"evaluate.groups": {"all": []}}, ["'cloze' is in no group"]),
        ({"pack.mixtures.text.parts": [{"source": "prose"}, {"source": "prose"}]}, ["appears twice"]),
        ({"train.runs.Bad Name": CONFIG["train"]["runs"]["shared"]}, ["'Bad Name' can't be a folder name"]),
        ({"sources.prose.corpus": "files"}, ["'files' goes with 'corpus: files'"]),
        ({"figures.names": ["conditional_entropie"]}, ["conditional_entropy"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_config_is_refused_by_name(change: dict[str, Any], parts: list[str]) -> None:
    message = refused(change)
    for part in parts:
        assert part in message
    assert all(line.startswith("test: ") for line in message.splitlines())


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("not: [closed")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_experiment(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"no such config; in that folder: a\.yaml"):
        load_experiment(tmp_path / "b.yaml")


def test_extends_merges_mappings_replaces_values_and_removes_with_null(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(CONFIG))
    own = {"extends": "base.yaml", "experiment": "own", "train": {"runs": {"unix": None, "shared": {"seed": 4}}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    experiment = load_experiment(tmp_path / "own.yaml")
    assert experiment.experiment == "own"
    assert list(experiment.train.runs) == ["base", "shared"]
    assert experiment.train.runs["shared"].seed == 4
    assert experiment.train.runs["shared"].checkpoints == [0, 10, 30]


def test_configs_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml")
    (tmp_path / "b.yaml").write_text("extends: a.yaml")
    with pytest.raises(ConfigError, match="circle"):
        load_experiment(tmp_path / "a.yaml")


def test_each_key_is_of_one_kind() -> None:
    train = parse_experiment(copy.deepcopy(CONFIG), "test", ROOT).train
    semantic, numeric, operational = (train.of_kind(k) for k in ("semantic", "numeric", "operational"))
    assert set(semantic) == {"runs"}
    assert {"micro_batch", "zero_stage", "precision"} <= set(numeric)
    assert {"save_seconds", "log_steps", "job"} <= set(operational)
    assert set(semantic) | set(numeric) | set(operational) == set(TrainConfig.model_fields)
    assert "checkpoints" not in train.runs["unix"].semantic()
    assert train.runs["unix"].semantic()["optimization"]["total_steps"] == 30
    assert issubclass(TrainConfig, StrictModel)


def test_a_sparse_key_at_its_default_stays_out_of_recipes() -> None:
    """Else adding it would have made every result so far stale."""
    train = parse_experiment(copy.deepcopy(CONFIG), "test", ROOT).train
    assert "freeze" not in train.runs["unix"].semantic()
    assert train.runs["unix"].semantic()["plan"] == {"preset": "unix", "first": 1, "last": 1}
    values = copy.deepcopy(CONFIG)
    values["train"]["runs"]["unix"] |= {
        "freeze": ["model.norm.*"],
        "plan": {"preset": "unix", "first": 1, "last": 1, "attention_scope": "joint"},
    }
    run = parse_experiment(values, "test", ROOT).train.runs["unix"].semantic()
    assert run["freeze"] == ["model.norm.*"] and run["plan"]["attention_scope"] == "joint"

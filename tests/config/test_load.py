"""Every shipped config loads; every bad one is refused with the key and the remedy."""

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.small_config import CONFIG
from unix_lib.config import ConfigError, load_experiment, parse_experiment, read_config
from unix_lib.config.schema import schema_text
from unix_lib.config.strict import StrictModel
from unix_lib.config.train import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
POPE = {"scorer": "yes_no", "layout": "pope", "file": "pope.tsv"}


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
        ({"train.runs.unix.plan.last": 3}, ["plan unix 1:3 leaves no shared layer of 4"]),
        ({"train.runs.unix.keep_best_every": 0}, ["train.runs.unix.keep_best_every", "greater than or equal to 1"]),
        ({"train.runs.base.start.shape.layers": 10**9}, ["shape.layers", "less than or equal to 1024"]),
        ({"train.micro_batch": True}, ["train.micro_batch: a number is needed, not true or false"]),
        ({"experiment": "x" * 300}, ["is longer than 60 characters"]),
        ({"analyze.entropy.sources": ["prose", "prose"]}, ["analyze.entropy.sources: 'prose' is named twice"]),
        ({"sources.scenes": {"kind": "shapes", "colors": ["rde", "red"]}}, ["sources.scenes: colors: 'rde' can't"]),
        ({"two\nlines": 1}, ["unknown key 'two lines'"]),
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
        ({"evaluate.mixtures": {"al": "mixed"}}, ["'al' is no group", "'all'"]),
        ({"evaluate.mixtures": {"all": "mxed"}}, ["evaluate.mixtures.all", "unknown mixture 'mxed'", "'mixed'"]),
        ({"pack.mixtures.text.parts": [{"source": "prose"}, {"source": "prose"}]}, ["appears twice"]),
        ({"train.runs.Bad Name": CONFIG["train"]["runs"]["shared"]}, ["'Bad Name' can't be a folder name"]),
        ({"sources.prose.corpus": "files"}, ["'files' goes with 'corpus: files'"]),
        ({"figures.names": ["conditional_entropie"]}, ["conditional_entropy"]),
        ({"train.runs.unix.seed": -1}, ["train.runs.unix.seed", "greater than or equal to 0"]),
        ({"train.runs.unix.seed": 2**32}, ["train.runs.unix.seed", "less than 4294967296"]),
        ({"analyze.conflict.seed": -1}, ["analyze.conflict.seed"]),
        ({"analyze.conflict.chunks": 0}, ["analyze.conflict.chunks", "greater than or equal to 4"]),
        ({"analyze.conflict.chunks": 6}, ["analyze.conflict.chunks", "multiple of 4"]),
        ({"analyze.conflict.documents": 7}, ["documents 7 can't be cut into 8 chunks"]),
        ({"analyze.conflict.steps": [10, 20]}, ["analyze.conflict.steps: 20 is no checkpoint of run 'shared'"]),
        (
            {"analyze.conflict": {"mixture": "mixed", "runs": ["base"], "steps": [10]}},
            ["of run 'base', which has [30]"],
        ),
        ({"tokenizers.image.shape.channel_multipliers": [1, 0, 1]}, ["channel_multipliers.1", "equal to 1"]),
        ({"tokenizers.image.shape.base_channels": 48}, ["base_channels 48 is not a multiple of 32"]),
        ({"tokenizers.image.shape.codebook_size": 65537}, ["codebook_size", "less than or equal to 65536"]),
        ({"pack.mixtures.mixed.parts": [{"source": "prose", "kinds": ["texts"]}]}, ["kinds.0", "not 'texts'"]),
        ({"evaluate.benchmarks.cloze.limit": 0}, ["evaluate.benchmarks.cloze.limit"]),
        (
            {"evaluate.benchmarks.cloze.source": "digits"},
            ["cloze.source: 'digits' makes no cloze benchmark, but none", "source 'prose' does"],
        ),
        ({"sources.prose.cloze_questions": 0}, ["'prose' makes no cloze", "give 'file'"]),
        ({"sources.prose.cloze_questions": 3}, ["cloze_questions 3", "set 0 or at least 4"]),
        ({"evaluate.benchmarks.cloze": {"scorer": "geneval", "source": "prose"}}, ["makes no geneval", "give 'file'"]),
        (
            {"evaluate.benchmarks.cloze": {"scorer": "multiple_choice", "layout": "seed", "source": "prose"}},
            ["makes no seed benchmark", "give 'file'"],
        ),
        ({"train.micro_batch": 4}, ["packs_per_step 2 can't be dealt evenly to 1 process(es) of micro_batch 4"]),
        ({"train.job": {"gpus": 2, "nodes": 2}}, ["runs.base.optimization.packs_per_step 2", "multiple of 4"]),
        ({"tokenizers.job": {"gpus": 1}}, ["tokenizers.job.gpus is 1", "work on the CPU; set it to 0"]),
        ({"pack.job": {"gpus": 1}}, ["pack.job.gpus is 1"]),
        ({"generate.job": {"nodes": 2}}, ["generate.job.nodes is 2"]),
        ({"evaluate.benchmarks.cloze": POPE | {"judge": "nobody"}}, ["cloze.judge", "unknown judge 'nobody'"]),
        ({"evaluate.benchmarks.cloze": POPE | {"protocols": ["paper"] * 2}}, ["a protocol is named twice"]),
        ({"evaluate.benchmarks.cloze": POPE | {"protocols": ["papers"]}}, ["protocols.0", "not 'papers'"]),
        ({"evaluate.judges": {"mine": {"kind": "oracle"}}}, ["judges.mine", "unknown judge kind 'oracle'"]),
        ({"analyze.entropie": {"sources": ["prose"]}}, ["analyze.entropie", "did you mean 'entropy'"]),
        ({"train.precision": "bfloat16"}, ["zero_stage 0 with precision bfloat16", "set zero_stage: 1"]),
        ({"pack": None}, ["train: runs need packs"]),
        ({"tokenizers.image": None}, ["packs need both tokenizers; give tokenizers.image"]),
        ({"evaluate.job": {"nodes": 2}}, ["evaluate.job.nodes is 2, and only training uses several"]),
        ({"train.runs.unix.optimization.learning_rate": math.inf}, ["runs.unix.optimization.learning_rate", "finite"]),
        ({"evaluate.benchmarks.cloze.chance": math.nan}, ["evaluate.benchmarks.cloze.chance", "finite"]),
        ({"sources.prose": {"kind": "text", "corpus": "files", "files": [""]}}, ["'' is no glob pattern"]),
        ({"sources.prose": {"kind": "text", "corpus": "files", "files": ["a**b"]}}, ["'a**b' is no glob pattern"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_config_is_refused_by_name(change: dict[str, Any], parts: list[str]) -> None:
    message = refused(change)
    for part in parts:
        assert part in message
    assert all(line.startswith("test: ") for line in message.splitlines())


def test_a_model_too_short_for_an_image_is_refused_where_images_are_generated() -> None:
    values = copy.deepcopy(CONFIG)
    values["sources"]["scenes"] = {"kind": "shapes"}
    values["train"]["runs"]["base"]["start"]["shape"]["max_positions"] = 64
    assert parse_experiment(values, "test", ROOT).pack.length == 128  # training has no such limit
    values["evaluate"]["benchmarks"]["cloze"] = {"scorer": "geneval", "source": "scenes"}
    with pytest.raises(ConfigError, match=r"train\.runs\.shared: max_positions 64 leaves no room"):
        parse_experiment(values, "test", ROOT)
    values["train"]["runs"]["base"]["start"]["shape"]["max_positions"] = 128
    parse_experiment(values, "test", ROOT)


def test_patterns_below_the_root_are_taken() -> None:
    values = copy.deepcopy(CONFIG)
    patterns = ["data/text/*.txt", "data/**/*.txt", "../more/a.txt"]
    values["sources"]["prose"] |= {"corpus": "files", "files": patterns}
    assert parse_experiment(values, "test", ROOT).sources["prose"].semantic()["files"] == patterns


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"experiment: a\ntrain:\n  seed: 1\n  b: 2\n  seed: 3\n", "key 'seed' in line 5 stands in line 3 already"),
        (b"experiment: caf\xe9\n", "not UTF-8 at byte 15"),
        (b"made: 2025-02-30\n", "not valid YAML: day is out of range"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
        (b'report: {title: "\\ud800"}\n', "the text in line 1 holds half a character"),
        (b"extends: " + b"x" * 300 + b"\n", r"extends: .*x: can't be read \(File name too long\)"),
        (b"epochs: 010\n", "010 in line 1 is 8 to YAML; write 8"),
        (b"a: 1\nruntime_minutes: 1:30\n", "1:30 in line 2 is 90 to YAML; write 90"),
        (b"# nothing\n", "holds no keys"),
        (b"extends: lost.yaml\n", r"extends: .*lost\.yaml: no such config; in that folder: a\.yaml"),
    ],
    ids=["duplicate", "encoding", "date", "depth", "surrogate", "length", "octal", "sixties", "empty", "extends"],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=fault) as caught:
        load_experiment(tmp_path / "a.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_keys_of_a_merge_may_be_given_again(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one: &one {x: 1, y: 2}\ntwo: &two {<<: *one, x: 3}\nthree: {<<: *two, x: 4}\n")
    assert read_config(tmp_path / "a.yaml")["three"] == {"x": 4, "y": 2}


def test_extends_is_looked_for_beside_the_file_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.yaml").write_text("x: 1")
    (tmp_path / "shared" / "middle.yaml").write_text("extends: base.yaml\ny: 2")
    (tmp_path / "own.yaml").write_text("extends: shared/middle.yaml\nz: 3")
    assert read_config(tmp_path / "own.yaml") == {"x": 1, "y": 2, "z": 3}
    assert read_config(tmp_path / "own.yaml", {"y": 5}) == {"x": 1, "y": 5, "z": 3}


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


def test_all_faults_of_a_config_are_named_at_once() -> None:
    lines = refused(
        {
            "train.micro_bach": 2,
            "train.log_steps": 0,
            "sources.digits.image_sise": 32,
            "tokenizers.image.steps": 0,
            "evaluate.benchmarks.cloze.limit": 0,
        }
    ).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "sources.digits", "tokenizers.image.steps", "train.log_steps", "train", "evaluate.benchmarks.cloze.limit",
    ]  # fmt: skip
    spanning = refused({"pack.length": 66, "train.runs.unix.plan.last": 3, "tokenizers.job": {"gpus": 1}})
    assert len(spanning.splitlines()) == 3


def test_a_config_that_extends_another_may_switch_a_kind(tmp_path: Path) -> None:
    """The keys of the kind before it mean nothing to the new one."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(CONFIG))
    shape = CONFIG["tokenizers"]["image"]["shape"]
    own = {
        "extends": "base.yaml",
        "tokenizers": {"image": {"kind": "pretrained", "path": "data/chameleon", "shape": shape}},
        "train": {"runs": {"unix": {"plan": {"preset": "moe", "every": 2}}}},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    experiment = load_experiment(tmp_path / "own.yaml")
    assert experiment.tokenizers.image.kind == "pretrained"
    assert experiment.train.runs["unix"].plan.preset == "moe"
    assert experiment.train.runs["unix"].optimization.total_steps == 30


def test_null_removes_whatever_it_stands_for(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: {b: 1, c: {d: 2}}\ne: [1]\n")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\na: {b: null, c: null, f: null}\ne: null\n")
    assert read_config(tmp_path / "own.yaml") == {"a": {"f": None}}


def test_a_config_that_cannot_be_read_is_one_line(tmp_path: Path, unreadable: Callable[[Path], None]) -> None:
    base = tmp_path / "base.yaml"
    base.write_text("experiment: x\n")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\n")
    unreadable(base)
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, told in (("base", "can't be read"), ("own", "can't be read"), ("pipe", "no such config")):
        with pytest.raises(ConfigError, match=told) as raised:
            load_experiment(tmp_path / f"{name}.yaml")
        assert "\n" not in str(raised.value)

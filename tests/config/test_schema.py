"""The schema accepts what configs say and refuses what the loader would; the reference names every key."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from unix_lib.config.kinds import ROOMS, known_kinds
from unix_lib.config.reference import reference_text
from unix_lib.config.schema import schema_text

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def faults(values: Any) -> list[str]:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(values)]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_fits_and_names_the_schema(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text())) == []
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["train"].update(micro_bach=2),
        lambda values: values["sources"]["shapes"].update(colorz=["red"]),
        lambda values: values["analyze"]["conflict"].update(documentz=3),
        lambda values: values["evaluate"]["benchmarks"]["pope"].update(layout="popo"),
        lambda values: values["tokenizers"]["image"].update(steps="many"),
    ],
)
def test_a_mistake_is_marked(change: Callable[[Any], None]) -> None:
    values = yaml.safe_load((ROOT / "config" / "laptop.yaml").read_text())
    changed = copy.deepcopy(values)
    change(changed)
    assert changed != values and faults(changed)


def test_kinds_of_somebody_elses_and_removed_keys_are_no_mistakes() -> None:
    values = {
        "extends": "laptop.yaml",
        "experiment": "mine",
        "sources": {"poems": {"kind": "my_project.poems", "path": "a.txt"}, "digits": None},
        "train": {"runs": {"mot": None}},
        "figures": {"names": ["claims", "my_project.forecast"]},
        "analyze": {"bits": {"kind": "entropy", "sources": ["poems"]}},
    }
    assert faults(values) == []


def test_the_reference_has_every_kind() -> None:
    text = reference_text()
    for sort in ROOMS:
        for name in known_kinds(sort):
            assert sort == "figure" or f": {name}`" in text, name
    assert max(map(len, text.splitlines())) < 400

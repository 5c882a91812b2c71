"""What is kept where: the docs say what the code does, and a config may keep more models."""

from pathlib import Path

import pytest

from tests.workflow.project import ROOT
from tests.workflow.small_config import CONFIG
from unix_lib.config import parse_experiment
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.versioning.policy import (
    DVC,
    EARLIER_MODELS,
    GIT,
    NEITHER,
    POLICY,
    Kind,
    kind_of,
    left_out,
    sizes,
    write_left_out,
)

FILES = {
    "summary/claims.csv": GIT,
    "sources/prose-0/train-00000.parquet": DVC,
    "pack/mixed-0/epoch-000.arrow": DVC,
    "train/unix-step-00010-0/model/model.safetensors": NEITHER,
    "train/unix-step-00010-0/log.parquet": DVC,
    "train/unix-step-00030-0/model/model.safetensors": DVC,
    "train/unix-step-00030-0/state/deepspeed/state/mp_rank_00_model_states.pt": NEITHER,
    "evaluate/unix-step-00010-all-0/samples/cloze.parquet": DVC,
    "figures/claims-0/claims.pdf": DVC,
    "report/summary-0/index.html": DVC,
    "work/train/unix/step-5/hashes.json": NEITHER,
    "planned.json": NEITHER,
}


def plan_of(**more: str) -> Plan:
    return resolve(parse_experiment(CONFIG | more, "test", ROOT), ROOT)


def test_every_file_has_its_place(tmp_path: Path) -> None:
    patterns = left_out(plan_of())
    assert {name: kind_of(name, patterns).kept for name in FILES} == FILES
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    assert sum(sizes(tmp_path, patterns).values()) == 5 * len(FILES)
    assert sizes(tmp_path, patterns)[EARLIER_MODELS] == 5


def test_a_config_may_keep_all_models(tmp_path: Path) -> None:
    earlier = "train/unix-step-00010-0/model/model.safetensors"
    assert kind_of(earlier, left_out(plan_of(versioned_models="all"))).kept == DVC
    write_left_out(plan_of(), tmp_path)
    assert "/train/unix-step-00010-*/model/" in (tmp_path / ".dvcignore").read_text().splitlines()
    write_left_out(plan_of(versioned_models="all"), tmp_path)
    assert "/train/" not in (tmp_path / ".dvcignore").read_text()


@pytest.mark.parametrize("kind", [*POLICY, EARLIER_MODELS], ids=lambda kind: kind.name)
def test_the_docs_say_it(kind: Kind) -> None:
    table = (ROOT / "docs" / "sharing.md").read_text().partition("## What is kept where")[2].partition("\n\nConfigs")[0]
    found = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("| ")]
    kept = [place.strip() for words, place in found if words.strip().partition(":")[0] == kind.name]
    assert kept == [kind.kept]

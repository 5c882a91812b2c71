"""The small experiment with its data made, up to packs, by the jobs of its plan."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.look.small import config, write_all
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.config import parse_experiment
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import execution_path, write_plan

CONFIG = Path("config/small.yaml")
REPORT = {"title": "Small", "scale": "tiny"}


def make_small(folder: Path) -> Plan:
    """Write its files below a folder, the working folder, and make what is planned up to packs."""
    write_all(20)
    values = config(report=REPORT, figures={"names": []})
    CONFIG.parent.mkdir()
    CONFIG.write_text(json.dumps(values))
    results = Path("results/small")
    plan = resolve(parse_experiment(values, "test", folder), folder)
    write_plan(plan, results)
    for artefact in plan.of_stage(*("sources", "tokenizers", "encode", "tokenize", "pack")):
        path = plan.jobs[artefact].recipe.path(results)
        Job.from_files(path, execution_path(path), results / artefact / MANIFEST).make()
    return plan


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """The plan of it; every test of the module works in its folder."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield make_small(folder)

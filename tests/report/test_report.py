"""The page holds every figure and verdict, links to nothing outside, and its hashed part repeats."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment, picture
from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import MANIFEST, Manifest, read_manifest
from unix_lib.config.figures import ALL_FIGURES
from unix_lib.figures.make import make_figure
from unix_lib.recipes.plan import FIGURE_ROLES
from unix_lib.artefacts.recipe import Recipe, write_recipe
from unix_lib.report.make import make_report

SCALE = "a <made-up> experiment"


def run_job(recipe: Recipe, results: Path, make) -> Manifest:
    write_recipe(recipe, results)
    execution = results / "execution.json"
    execution.write_text("{}")
    return make(Job.from_files(recipe.path(results), execution, results / recipe.artefact / MANIFEST))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Recipe]:
    results = tmp_path_factory.mktemp("results")
    experiment = SyntheticExperiment(results, prompts=12, steps=(0, 100))
    figures = []
    for name in ALL_FIGURES:
        recipe = Recipe("figures", name, 1, {"scale": SCALE}, {r: experiment.inputs[r] for r in FIGURE_ROLES[name]})
        figures.append(recipe.artefact)
        if name == "claims":
            run_job(recipe, results, make_figure)
            continue
        folder = results / recipe.artefact
        folder.mkdir(parents=True)
        (folder / f"{name}.png").write_bytes(picture(np.random.default_rng(len(figures))))
        (folder / f"{name}.csv").write_text("origin,value,n\nmeasured,0.25,8\n")
        experiment.add(recipe, {}, other_files=[f"{name}.png", f"{name}.csv"])
    source = Recipe("sources", "shapes", 1, {})
    rows = {
        f"{split}-00000.parquet": pd.DataFrame({"row": range(n)}) for split, n in (("train", 6000), ("heldout", 400))
    }
    experiment.add(source, rows, rejected={"damaged image": 3}, facts={"heldout_psnr_db": 27.25})
    roles = ("evaluations", "ceilings", "checkpoints")
    inputs = {"figures": figures, "data": [source.artefact]} | {role: experiment.inputs[role] for role in roles}
    recipe = Recipe("report", "summary", 1, {"title": "Uni-X, tested", "scale": SCALE}, inputs)
    return results, run_job(recipe, results, make_report), recipe


def page_of(report: tuple[Path, Manifest, Recipe]) -> str:
    results, _, recipe = report
    return (results / recipe.artefact / "index.html").read_text(encoding="utf-8")


def test_page_shows_every_figure_and_no_link_outside(report: tuple[Path, Manifest, Recipe]) -> None:
    page = page_of(report)
    assert page.count("data:image/png;base64,") == len(ALL_FIGURES) - 1  # the claims are a table of their own
    assert 'id="claims-table"' in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "http://" not in page
    assert "https://" not in page
    assert "a &lt;made-up&gt; experiment" in page  # escaped
    assert "<made-up>" not in page


def test_page_shows_verdicts_data_and_fitness(report: tuple[Path, Manifest, Recipe]) -> None:
    page = page_of(report)
    assert page.count('class="verdict') >= 7
    assert page.index("Scale of this experiment") < page.index('id="claims-table"') < page.index("data:image/png")
    for text in ("6,000", "3 damaged image", "heldout psnr db 27.25", "detector accuracy", "Uni-X 2:1"):
        assert text in page


def test_metrics_are_flat_and_repeat(report: tuple[Path, Manifest, Recipe]) -> None:
    results, manifest, recipe = report
    metrics = json.loads((results / recipe.artefact / "metrics.json").read_text())
    assert all(isinstance(value, float) for value in metrics.values())
    assert "geneval/unix-2:1" in metrics
    assert "geneval/unix-2:1/standard_error" in metrics
    assert "pope/moe-1-of-2" in metrics
    assert len([name for name in metrics if name.count("/") == 1]) == 16
    again = run_job(recipe, results, make_report)
    assert again.digest == manifest.digest
    listed = {entry.path for entry in read_manifest(results / recipe.artefact).files}
    assert "metrics.json" in listed
    assert "index.html" not in listed

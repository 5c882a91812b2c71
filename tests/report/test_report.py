"""The page holds every figure and verdict, links to nothing outside, and its hashed part repeats."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment, planned_job
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.recipe import Recipe
from unix_lib.config.report import PAGE, ReportSettings
from unix_lib.figures.kinds import KINDS
from unix_lib.figures.make import make_figure
from unix_lib.report.argument import PARTS, open_claims, steps_on_page
from unix_lib.report.make import make_report

SCALE = "a <made-up> experiment"
SETTINGS = ReportSettings(title="Uni-X, tested", scale=SCALE)


def run_job(recipe: Recipe, results: Path, make: Callable[[Any], Manifest]) -> Manifest:
    return make(planned_job(recipe, results))


def add_figure(experiment: SyntheticExperiment, recipe: Recipe) -> str:
    """A finished figure with a made-up picture."""
    folder, name = experiment.results / recipe.artefact, recipe.name
    folder.mkdir(parents=True)
    (folder / f"{name}.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'><desc>{name}</desc></svg>")
    (folder / f"{name}.csv").write_text("origin,value,n\nmeasured,0.25,8\n")
    return experiment.add(recipe, {}, other_files=[f"{name}.svg", f"{name}.csv"])


def add_source(experiment: SyntheticExperiment) -> str:
    rows = {
        f"{split}-00000.parquet": pd.DataFrame({"row": range(n)}) for split, n in (("train", 6000), ("heldout", 400))
    }
    source = Recipe("sources", "shapes", "shapes/records", 1, {})
    return experiment.add(source, rows, rejected={"damaged image": 3}, facts={"heldout_psnr_db": 27.25})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Recipe]:
    results = tmp_path_factory.mktemp("results")
    experiment = SyntheticExperiment(results, prompts=12, steps=(0, 100), blind={"mot": "unreadable", "moe": "last"})
    figures = []
    for name in reversed(KINDS):
        recipe = experiment.figure_recipe(name, SCALE)
        figures.append(recipe.artefact)
        if name in {"claims", "text_cost"}:
            run_job(recipe, results, make_figure)
        else:
            add_figure(experiment, recipe)
    roles = ("evaluations", "ceilings", "checkpoints")
    inputs = {"figures": figures, "data": [add_source(experiment)]} | {role: experiment.inputs[role] for role in roles}
    recipe = Recipe("report", "summary", "page", PAGE.logic_version, SETTINGS.semantic(), inputs)
    return results, run_job(recipe, results, make_report), recipe


def page_of(report: tuple[Path, Manifest, Recipe]) -> str:
    results, _, recipe = report
    return (results / recipe.artefact / "index.html").read_text(encoding="utf-8")


def test_page_shows_every_figure_and_no_link_outside(report: tuple[Path, Manifest, Recipe]) -> None:
    page = page_of(report)
    assert page.count("data:image/svg+xml;base64,") == len(KINDS) - 1  # the claims are tables of their own
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "http://" not in page
    assert "https://" not in page
    assert "a &lt;made-up&gt; experiment" in page  # escaped
    assert "<made-up>" not in page


def test_page_shows_verdicts_data_and_fitness(report: tuple[Path, Manifest, Recipe]) -> None:
    page = page_of(report)
    assert page.count('class="verdict') >= 7
    assert page.index("Scale of this experiment") < page.index('id="claims"') < page.index("data:image/svg")
    for text in ("6,000", "3 damaged image", "heldout psnr db 27.25", "detector accuracy", "Uni-X 2:1"):
        assert text in page


def test_page_names_answers_that_are_no_sign_of_knowledge(report: tuple[Path, Manifest, Recipe]) -> None:
    page = page_of(report)
    rows = re.findall(r"<tr><td>(.+?)</td><td>(\w+)</td><td class=.number.>12</td>(.+?)</tr>", page)
    assert ("MoT", "pope") in {row[:2] for row in rows} and ("MoE 1/2", "pope") in {row[:2] for row in rows}
    assert not {"Shared", "Uni-X 2:1"} & {row[0] for row in rows}
    for architecture, benchmark, rest in rows:
        if benchmark == "pope":
            assert ("<td>&#39;no&#39;</td>" in rest) if "MoE" in architecture else (">12</td><td>–</td>" in rest)


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
    assert [entry.path for entry in again.beside] == ["index.html"]


def test_the_page_tells_premise_mechanism_effect_each_with_its_claims_and_figures(
    report: tuple[Path, Manifest, Recipe],
) -> None:
    page = page_of(report)
    places = [page.index(f'<h2 id="{part.name}">') for part in PARTS]
    assert places == sorted(places)
    ends = dict(zip((part.name for part in PARTS), [*places[1:], page.index('<h2 id="open">')], strict=True))
    for part, place in zip(PARTS, places, strict=True):
        for claim in range(1, 8):
            stands = f'<td colspan="9">Claim {claim}.' in page[place : ends[part.name]]
            assert stands == (claim in part.claims)
        named = [kind.title for kind in KINDS.values() if kind.part == part.name]
        shown = [page.index(f">{title}</h3>") for title in named]
        assert shown == sorted(shown) and all(place < at < ends[part.name] for at in shown)
    assert all(page.count(f'<h3 id="{name}">') == 1 for name in KINDS if name != "claims")
    assert all(kind.how_to_read in page for kind in KINDS.values() if "'" not in kind.how_to_read)


def test_what_is_open_says_what_it_would_take() -> None:
    decided = {"claim": 1, "part": "a", "verdict": "holds", "reason": "", "difference": 3, "low": 2, "high": 4}
    close = decided | {
        "verdict": "undecided",
        "reason": "contains 0",
        "difference": 0.5,
        "low": -0.5,
        "high": 1.5,
    }
    nothing = close | {"difference": 0.001, "low": -0.999, "high": 1.001}
    unmeasured = decided | {
        "verdict": "not measurable here",
        "reason": "no GPU",
        "difference": "",
        "low": "",
        "high": "",
    }
    found = open_claims([decided, close, nothing, unmeasured])
    assert [(each.why, each.least, each.times) for each in found] == [
        ("contains 0", 1.0, 4.0),
        ("contains 0", 1.0, None),
        ("no GPU", None, None),
    ]
    [step] = [step for step in steps_on_page([decided, close]) if step.claims]
    assert (step.part.name, step.verdicts) == ("premise", [("holds", 1), ("undecided", 1)])


def test_an_experiment_that_only_measures_entropy_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a figure of somebody's own, which comes last."""
    package = tmp_path / "modules" / "my_figures"
    package.mkdir(parents=True)
    (package / "forecast.py").write_text(
        "from unix_lib.config.figures import FigureKind\n"
        "KIND = FigureKind(draw='my_figures.forecast:draw', logic_version=1, reads=('entropy',), title='My forecast')\n"
        "def draw(inputs, settings): ...\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    experiment = SyntheticExperiment(tmp_path / "results", prompts=6, steps=(0, 100))
    entropy = experiment.figure_recipe("conditional_entropy", SCALE)
    own = replace(entropy, name="forecast", kind="my_figures.forecast")
    inputs: dict[str, str | list[str]] = {
        "figures": [add_figure(experiment, own), add_figure(experiment, entropy)],
        "data": [add_source(experiment)],
    }
    recipe = Recipe("report", "summary", "page", PAGE.logic_version, SETTINGS.semantic(), inputs)
    run_job(recipe, experiment.results, make_report)
    folder = experiment.results / recipe.artefact
    assert json.loads((folder / "metrics.json").read_text()) == {}
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.index('id="conditional_entropy"') < page.index('id="forecast">My forecast') < page.index('id="data"')
    for absent in ('id="claims"', 'id="models"', 'id="judge"'):
        assert absent not in page


def test_page_warns_of_a_script_that_is_spelled_out(report: tuple[Path, Manifest, Recipe]) -> None:
    results, _, recipe = report
    page = (results / recipe.artefact / "index.html").read_text()
    assert "Han text of source photos costs 2.96 tokens a character" in page
    assert "the text tokenizer did not learn from it: add it to tokenizers.text.sources" in page
    assert page.count("tokens a character</strong>") == 1

"""What the page shows of the data is what is made of them."""

from pathlib import Path

import numpy as np
import pytest

from tests.look.made import made
from unix_lib.config.report import ReportSettings
from unix_lib.figures.inputs import Inputs
from unix_lib.look.page import HERE, page_environment
from unix_lib.look.shown import Item, Picture, Shown
from unix_lib.recipes.plan import Plan
from unix_lib.report.data import PACKS, RECORDS, DataOnPage, data_on_page
from unix_lib.report.make import THUMBNAIL, render_page

__all__ = ["made"]


@pytest.fixture(scope="module")
def inputs(made: Plan) -> Inputs:
    results = Path("results/small")
    recipe = made.jobs[made.named("report", "summary")].recipe
    existing = {role: [each for each in recipe.in_role(role) if (results / each).is_dir()] for role in recipe.inputs}
    return Inputs(results, {role: artefacts for role, artefacts in existing.items() if artefacts})


@pytest.fixture(scope="module")
def page(inputs: Inputs) -> DataOnPage:
    return data_on_page(inputs)


def test_samples_stand_beside_what_comes_back_of_their_codes(page: DataOnPage) -> None:
    assert [shown.title for shown in page.samples] == ["talks", "photos"]
    for shown in page.samples:
        assert len(shown.items) == RECORDS
        for item in shown.items:
            image, decoded = item.pictures
            assert image.caption == "image" and decoded.caption.startswith("from its codes, ")


def test_packs_and_totals_are_shown(page: DataOnPage) -> None:
    [packs] = page.packs
    assert any(item.bar for item in packs.items) and any(span.trained for item in packs.items for span in item.spans)
    sources, mixture = page.totals
    assert [row[0] for row in sources.tables[0].rows] == ["talks", "photos"]
    assert {row[0] for row in mixture.tables[0].rows} == {"talks", "photos"} and mixture.histograms


def test_the_check_is_of_what_is_made(page: DataOnPage) -> None:
    told = [f"{finding.level} {finding}" for finding in page.findings]
    assert "ok sources.talks: 20 samples, none was set aside" in told
    assert any(line.startswith("ok pack.mixtures.mixed: every sample carries loss, ") for line in told)
    assert any("image codes behind them" in line for line in told)
    assert any("; none is cut, a pack has 128" in line for line in told)


def test_files_that_are_gone_spoil_no_page(inputs: Inputs, made: Plan) -> None:
    files = sorted(Path("data/talks").glob("*"))
    kept = {path: path.read_bytes() for path in files}
    assert kept
    for path in files:
        path.unlink()
    try:
        shown = data_on_page(inputs).samples[0]
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert "without their images: " in shown.lead and len(shown.items) == RECORDS


def test_the_page_repeats_and_shows_all_of_it(inputs: Inputs, page: DataOnPage, made: Plan) -> None:
    settings = made.jobs[made.named("report", "summary")].settings
    assert isinstance(settings, ReportSettings)
    first, second = (render_page(inputs, settings) for _ in range(2))
    assert first == second
    pictures = sum(len(item.pictures) for shown in (*page.samples, *page.packs) for item in shown.items)
    assert first.count("data:image/png;base64,") == pictures > 0
    assert first.count('class="pack"') == PACKS and first.count('class="finding ') == len(page.findings)


def test_large_pictures_are_shrunk_and_long_texts_cut() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    shown = Shown("t", "l", [Item("a", pictures=[Picture(noise, "p")], turns=[("text", "word " * 1000)])])
    pages = [page_environment(HERE, largest).get_template("page.html") for largest in (None, THUMBNAIL)]
    whole, small = pages[0].render(shown=shown), pages[1].render(shown=shown.shortened(400))
    assert len(whole) > 1_000_000 and len(small) < 40_000 and "data:image/jpeg;base64," in small

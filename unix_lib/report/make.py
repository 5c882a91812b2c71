"""One report job: `index.html`, one page with everything in it, and `metrics.json`, the final scores.

`metrics.json` repeats exactly and is what the manifest hashes. `index.html` also says when, where and how fast the
experiment ran; that never repeats, so its hash is provenance.
"""

from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import write_json, write_text
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.config.report import ReportSettings
from unix_lib.evaluate.fitness import REQUIRED_ACCURACY
from unix_lib.figures.inputs import Inputs
from unix_lib.jobs.job import Job
from unix_lib.look.page import page_environment
from unix_lib.report.argument import open_claims, steps_on_page
from unix_lib.report.gather import (
    blind_rows,
    claims_rows,
    costly_texts,
    data_rows,
    figures_on_page,
    final_score_metrics,
    fitness_rows,
    left_out_rows,
    provenance_rows,
    rivals,
    run_rows,
)

TEMPLATE = "page.html"
THUMBNAIL = 128  # pixels of a side of a picture of data, so that the page stays small
PAGE, METRICS = "index.html", "metrics.json"


def make_report(job: Job[ReportSettings, Execution]) -> Manifest:
    """Make `report/summary`; without scores `metrics.json` is empty."""
    for role in job.recipe.inputs:
        job.inputs(role)  # checks the files
    inputs = Inputs.of(job.recipe, job.results)
    metrics = final_score_metrics(inputs)
    write_json(job.folder / METRICS, metrics)
    write_text(job.folder / PAGE, render_page(inputs, job.settings))
    return job.finish({METRICS: None}, facts={"scores": metrics}, beside=[PAGE])


def render_page(inputs: Inputs, settings: ReportSettings) -> str:
    """The whole page, without a link to anything outside it."""
    from unix_lib.report.data import data_on_page  # decodes images, with torch

    claims = claims_rows(inputs)
    environment = page_environment(Path(__file__).parent, largest=THUMBNAIL)
    environment.filters["number"] = _number
    return environment.get_template(TEMPLATE).render(
        title=settings.title,
        scale=settings.scale,
        claims=claims,
        steps=steps_on_page(claims),
        undecided=open_claims(claims),
        figures=figures_on_page(inputs),
        data=data_rows(inputs),
        looked=data_on_page(inputs),
        costly=costly_texts(inputs),
        fitness=fitness_rows(inputs),
        blind=blind_rows(inputs),
        left_out=left_out_rows(inputs),
        rivals=rivals(inputs),
        required_accuracy=REQUIRED_ACCURACY,
        runs=run_rows(inputs),
        provenance=provenance_rows(inputs),
    )


def _number(value: Any, digits: int = 3) -> str:
    """A number for the page; a dash for a missing one."""
    if value is None or value == "":
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{float(value):.{digits}g}"

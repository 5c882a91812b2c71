"""One figure job, and the same figure as a preview on whatever exists already."""

import importlib
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import Manifest, open_artefact
from unix_lib.config.figures import ALL_FIGURES
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import Drawing, save
from unix_lib.jobs.job import Job


class FigureError(UserError):
    """A figure that can't be drawn."""


def make_figure(job: Job) -> Manifest:
    """Make `figures/<figure>`: CSV, PNG and PDF."""
    for role in job.recipe.inputs:
        job.inputs(role)  # checks the files
    existing = {role: [value] if isinstance(value, str) else list(value) for role, value in job.recipe.inputs.items()}
    inputs = Inputs(job.results, existing)
    scale = job.settings["scale"]
    drawing = draw_figure(job.recipe.name, inputs, scale)
    return job.finish(save(drawing, job.folder, job.recipe.name, scale, []))


def draw_existing(  # noqa: PLR0917
    figure: str,
    results: Path,
    inputs_existing: dict[str, list[str]],
    inputs_missing: dict[str, list[str]],
    output_folder: Path,
    scale: str,
) -> list[Path]:
    """Draw a preview of a figure on the artefacts that exist, and say on it which are missing.

    Takes no lock and writes no manifest, so it may run while the workflow does.

    Args:
        figure: name of the figure.
        results: `results/<experiment>`.
        inputs_existing: role -> artefacts (`stage/name-digest`) with a manifest.
        inputs_missing: role -> artefacts without one.
        output_folder: where the three files go.
        scale: the sentence on the experiment's scale.

    Returns:
        The files written.
    """
    for artefacts in inputs_existing.values():
        for artefact in artefacts:
            open_artefact(results / artefact)
    missing = [artefact for artefacts in inputs_missing.values() for artefact in artefacts]
    drawing = draw_figure(figure, Inputs(results, inputs_existing, missing), scale)
    return [output_folder / name for name in save(drawing, output_folder, figure, scale, missing)]


def draw_figure(name: str, inputs: Inputs, scale: str) -> Drawing:
    """Draw one figure; the module of its name does it."""
    if name not in ALL_FIGURES:
        raise FigureError(f"unknown figure '{name}'; known: {', '.join(ALL_FIGURES)}")
    module = importlib.import_module(f"unix_lib.figures.{name}")
    return module.draw(inputs, scale) if name == "claims" else module.draw(inputs)

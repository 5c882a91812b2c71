"""One figure job, and the same figure as a preview on whatever exists already."""

from pathlib import Path

from unix_lib.artefacts.manifest import Manifest, open_artefact
from unix_lib.config.figures import DrawnFigure, FigureKind
from unix_lib.config.jobs import Execution
from unix_lib.config.kinds import find_kind, imported
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import Drawing, save
from unix_lib.jobs.job import Job


def make_figure(job: Job[DrawnFigure, Execution]) -> Manifest:
    """Make `figures/<figure>`: CSV, PNG, PDF and SVG."""
    for role in job.recipe.inputs:
        job.inputs(role)  # checks the files
    drawing = draw_figure(Inputs.of(job.recipe, job.results), job.settings)
    return job.finish(save(drawing, job.folder, job.settings.figure.name, job.settings.scale, []))


def draw_existing(settings: DrawnFigure, inputs: Inputs, output_folder: Path) -> list[Path]:
    """Draw a preview of a figure on the artefacts that exist, and say on it which are missing.

    Takes no lock and writes no manifest, so it may run while the workflow does. Returns the files written.
    """
    for artefacts in inputs.existing.values():
        for artefact in artefacts:
            open_artefact(inputs.results / artefact)
    drawing = draw_figure(inputs, settings)
    names = save(drawing, output_folder, settings.figure.name, settings.scale, inputs.missing)
    return [output_folder / name for name in names]


def draw_figure(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw one figure by the function that its kind names.

    Raises:
        ConfigError: no such kind of figure.
    """
    kind = find_kind("figure", settings.figure.kind, FigureKind)
    drawing: Drawing = imported(kind.draw)(inputs, settings)
    return drawing

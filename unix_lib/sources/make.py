"""Make any source: one adapter per `kind`, all ending in the same files."""

from unix_lib.artefacts.manifest import Manifest
from unix_lib.jobs.job import Job
from unix_lib.sources.digits import make_digits
from unix_lib.sources.image_folder.make import make_image_folder
from unix_lib.sources.shapes.make import make_shapes
from unix_lib.sources.text.make import make_text

MAKERS = {
    "shapes": make_shapes,
    "digits": make_digits,
    "image_folder": make_image_folder,
    "text": make_text,
}


def make_source(job: Job) -> Manifest:
    """Make the source that a recipe describes; the recipe's name is the source's name.

    Raises:
        SourceError: the source is empty or its settings can't be followed.
    """
    return MAKERS[job.settings["kind"]](job)

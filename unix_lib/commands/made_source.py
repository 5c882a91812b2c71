"""Where a planned experiment makes a source, for commands that look at it."""

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.config.experiment import Experiment
from unix_lib.look.samples import IMAGE_SIDE, MadeSource


def made_source(planned: PlannedExperiment, name: str) -> MadeSource:
    """The artefacts of a source or a translation, made or not; of its codes those that are there."""
    plan, results = planned.plan, planned.results
    records, images, codes = (
        [results / artefact for artefact in of(name)] for of in (plan.records, plan.images, plan.codes)
    )
    there = [folder for folder in codes if (folder / MANIFEST).is_file()]
    return MadeSource(name, records, images, there, image_size(planned.config))


def image_size(experiment: Experiment) -> int:
    """Pixels of a side that images come to."""
    tokenizer = experiment.tokenizers.image
    return IMAGE_SIDE if tokenizer is None else tokenizer.shape.image_size

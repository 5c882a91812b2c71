"""What an experiment says of its own size: the headline of its report, and the sentence below its figures."""

from unix_lib.config.experiment import Experiment


def title_of(experiment: Experiment) -> str:
    """The headline: as the config has it, else the experiment's name."""
    given = experiment.report.title if experiment.report else None
    return given or f"Experiment {experiment.experiment}"


def scale_of(experiment: Experiment) -> str:
    """The sentence on the scale: as the config has it, else computed from it."""
    given = experiment.report.scale if experiment.report else None
    return given or ", ".join(source.described() for source in experiment.sources.values())

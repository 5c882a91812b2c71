"""Runs that start from other runs: which comes first, and which may go on from which."""

from unix_lib.architectures.plans import architecture_label, goes_on, layer_plan
from unix_lib.config.experiment import Experiment
from unix_lib.config.models import RunStart
from unix_lib.config.strict import ConfigError


def start_order(experiment: Experiment) -> list[str]:
    """Run names, each after the run it starts from.

    Raises:
        ConfigError: a run has another plan than the one it starts from, whose layers are separate already.
    """
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        start = experiment.runs[name].start
        if isinstance(start, RunStart):
            visit(start.run)
            _require_plan(experiment, name, start.run)
        ordered[name] = None

    for name in experiment.runs:
        visit(name)
    return list(ordered)


def _require_plan(experiment: Experiment, name: str, base: str) -> None:
    own, of_base = (experiment.runs[run].plan for run in (name, base))
    layers = experiment.shape_of(name).layers
    if not goes_on(layer_plan(of_base, layers), layer_plan(own, layers)):
        raise ConfigError(
            f"train.runs.{name}.plan: '{architecture_label(own)}' can't go on from run '{base}', whose layers are "
            f"separate already ('{architecture_label(of_base)}'); give both one plan, or start from a run with plan "
            "shared"
        )

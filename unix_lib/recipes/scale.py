"""What an experiment says of its own size: the headline of its report, and the sentence below its figures."""

from collections.abc import Iterable

from unix_lib.architectures.plans import architecture_label
from unix_lib.config.experiment import Experiment
from unix_lib.recipes.costs import run_costs, run_tokens

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def title_of(experiment: Experiment) -> str:
    """The headline: as the config has it, else the experiment's name."""
    given = experiment.report.title if experiment.report else None
    return given or f"Experiment {experiment.experiment}"


def scale_of(experiment: Experiment) -> str:
    """The sentence on the scale: as the config has it, else computed from it."""
    given = experiment.report.scale if experiment.report else None
    *others, last = dict.fromkeys(source.described() for source in experiment.sources.values())
    sources = " and ".join(filter(None, [", ".join(others), last]))
    return given or ", ".join([*_models(experiment), sources, *_seeds(experiment)])


def short(number: float, digits: int = 3) -> str:
    """A count as people say it: `1.22M`, at most `digits` digits that count."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.{digits}g}{letter}"
    return f"{number:.{digits}g}"


def _models(experiment: Experiment) -> list[str]:
    """Active parameters and training tokens of the compared runs, as ranges where they differ."""
    runs = experiment.compared_runs()
    if not runs:
        return []
    # A text token passes the language model that an architecture began as; vision tokens may pass other weights.
    parameters = _range(run_costs(experiment, run).text.parameters for run in runs)
    tokens = _range(run_tokens(experiment, run) for run in runs)
    return [f"about {parameters} active parameters", f"{tokens} training tokens"]


def _seeds(experiment: Experiment) -> list[str]:
    """How many seeds each of the compared architectures is trained with."""
    seeds: dict[str, set[int]] = {}
    for run in experiment.runs.values():
        if run.compare:
            seeds.setdefault(architecture_label(run.plan), set()).add(run.seed)
    counts = sorted({len(own) for own in seeds.values()})
    if not counts:
        return []
    words = " to ".join(WORDS[n] if n < len(WORDS) else str(n) for n in {counts[0]: None, counts[-1]: None})
    return [f"{words} seed{'s' * (counts[-1] != 1)}"]


def _range(numbers: Iterable[float]) -> str:
    ends = sorted(numbers)
    return " to ".join(dict.fromkeys(short(end, digits=2) for end in (ends[0], ends[-1])))

"""`check`: a sample of every source on its way to packs, before a week is spent on all of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.code import require_library
from unix_lib.commands.check_config import of_config
from unix_lib.commands.marks import marked
from unix_lib.config import load_experiment
from unix_lib.config.experiment import Experiment
from unix_lib.look.findings import Finding, Level
from unix_lib.look.rehearsal import Rehearsal, rehearsal
from unix_lib.look.source_findings import of_source
from unix_lib.look.token_findings import of_part, of_tokenizers

MARKS: dict[Level, tuple[str, str]] = {
    "ok": ("ok      ", "green"),
    "look": ("look    ", "yellow"),
    "open": ("open    ", "cyan"),
    "wrong": ("wrong   ", "red"),
}


def run(config: Path, samples: int, console: Console) -> int:
    """Print a line per finding; 1 where something is wrong."""
    require_library(Path.cwd())
    experiment = load_experiment(config)
    levels: Counter[Level] = Counter()
    with rehearsal(experiment, Path("results") / experiment.experiment, samples) as rehearsed:
        for finding in findings(experiment, config, rehearsed):
            levels[finding.level] += 1
            mark, color = MARKS[finding.level]
            console.print(marked(mark, color, str(finding)), soft_wrap=True, highlight=False)
    told = f"{levels['wrong']} wrong, {levels['look']} to look at, {levels['open']} that can't be told yet."
    console.print(told, highlight=False)
    return 1 if levels["wrong"] else 0


def findings(experiment: Experiment, config: Path, rehearsed: Rehearsal) -> Iterator[Finding]:
    """All findings, in the order of the stages."""
    yield from of_config(experiment, config)
    for name in experiment.sources:
        yield from of_source(rehearsed, name)
    yield from of_tokenizers(rehearsed)
    for mixture, settings in experiment.mixtures.items():
        for part in settings.parts:
            yield from of_part(rehearsed, mixture, part)

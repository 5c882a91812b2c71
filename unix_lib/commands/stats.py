"""`stats`: what an experiment's data add up to, as far as they are made."""

from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.made_source import made_source
from unix_lib.look.shown import Shown
from unix_lib.look.statistics import source_statistics, spread_documents
from unix_lib.look.terminal import print_shown
from unix_lib.look.totals import shown_mixture, source_table
from unix_lib.pack.reader import PackReader


def run(config: Path, console: Console) -> int:
    """Print tables of the sources and mixtures that are made, and which are not."""
    planned = PlannedExperiment.load(config)
    experiment = planned.config
    sources = [made_source(planned, name) for name in experiment.with_records]
    statistics = {source.name: source_statistics(source) for source in sources if source.is_made}
    missing = [source.name for source in sources if not source.is_made]
    if statistics:
        title = f"Sources of {experiment.experiment}"
        print_shown(Shown(title, "as far as they are made", tables=[source_table(statistics)]), console)
    for name in experiment.mixtures:
        folder = planned.results / planned.plan.pack(name)
        if (folder / MANIFEST).is_file():
            reader = PackReader(folder)
            print_shown(shown_mixture(f"\nMixture {name}", reader, list(spread_documents(reader))), console)
        else:
            missing.append(f"pack/{name}")
    if missing:
        told = f"Not made yet, and so not counted: {', '.join(missing)}; `unix-lib check {config}` looks at a sample."
        console.print(told, soft_wrap=True, highlight=False)
    return 0

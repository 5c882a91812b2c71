"""`stats`: what an experiment's data add up to, as far as they are made."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.look.statistics import (
    TEXTS,
    SourceStatistics,
    document_lengths,
    histogram,
    source_statistics,
    tokens_by_source,
)
from unix_lib.recipes.scale import short

BAR = 40  # characters of a histogram's longest bar


def run(config: Path, console: Console) -> int:
    """Print tables of the sources and mixtures that are made, and which are not."""
    planned = PlannedExperiment.load(config)
    missing = _sources(planned, console)
    for name in planned.config.mixtures:
        folder = planned.results / planned.plan.pack(name)
        if (folder / MANIFEST).is_file():
            _mixture(name, folder, console)
        else:
            missing.append(f"pack/{name}")
    if missing:
        told = f"Not made yet, and so not counted: {', '.join(missing)}; `unix-lib check {config}` looks at a sample."
        console.print(told, soft_wrap=True, highlight=False)
    return 0


def _sources(planned: PlannedExperiment, console: Console) -> list[str]:
    """Print the table of sources; returns those that are not made."""
    table = Table(title=f"Sources of {planned.config.experiment}", title_justify="left")
    for heading in ("source", "records", "kinds", "characters", "scripts", "set aside"):
        table.add_column(heading, justify="right" if heading in ("records", "characters") else "left")
    missing, plan = [], planned.plan
    for name in planned.config.sources:
        records = [planned.results / artefact for artefact in plan.records(name)]
        if not all((folder / MANIFEST).is_file() for folder in records):
            missing.append(name)
            continue
        beside = [planned.results / artefact for artefact in (*plan.images(name), *plan.codes(name))]
        found = source_statistics(records, [folder for folder in beside if (folder / MANIFEST).is_file()])
        table.add_row(name, *_cells(found))
    if table.row_count:
        console.print(table)
        told = f"Kinds, characters and scripts are those of at most {TEXTS:,} texts of a source, spread over all."
        console.print(told, highlight=False)
    return missing


def _cells(found: SourceStatistics) -> list[str]:
    seen = sum(found.kinds.values())
    kinds = ", ".join(f"{kind} {count / seen:.0%}" for kind, count in found.kinds.most_common())
    low, middle, high = np.percentile(found.characters, (5, 50, 95)) if found.characters else (0, 0, 0)
    aside = ", ".join(f"{count:,} {reason}" for reason, count in found.rejected.most_common())
    return [f"{found.records:,}", kinds, f"{low:.0f} / {middle:.0f} / {high:.0f}", found.main_scripts, aside or "none"]


def _mixture(name: str, folder: Path, console: Console) -> None:
    manifest = read_manifest(folder)
    table = Table(title=f"Tokens of mixture {name}, all epochs", title_justify="left")
    for heading in ("source", "documents", "text", "image", "trained"):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for source, counts in tokens_by_source(manifest).items():
        kinds = ("documents", "text_tokens", "image_tokens", "trained_tokens")
        table.add_row(source, *(short(counts[kind]) for kind in kinds))
    console.print(table)
    aside = ", ".join(f"{count:,} {reason}" for reason, count in manifest.rejected.items())
    console.print(f"Set aside: {aside or 'none'}.", highlight=False)
    lengths = document_lengths(folder)
    spread = "" if lengths.packs == lengths.of else f" spread over {lengths.of:,}"
    for form, values in lengths.by_form.items():
        told = f"\nTokens of a document: {form}, {len(values):,} in {lengths.packs:,} packs{spread}"
        console.print(told, highlight=False)
        bins = histogram(values)
        most = max(count for _, _, count in bins)
        for low, high, count in bins:
            console.print(f"{low:>8,} to {high:<8,} {count:>9,} {'▇' * round(BAR * count / most)}", highlight=False)

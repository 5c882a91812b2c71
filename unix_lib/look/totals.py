"""What an experiment's data add up to, as tables and histograms."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.look.shown import Histogram, Shown, Table, in_words
from unix_lib.look.statistics import (
    PACKS,
    TEXTS,
    SourceStatistics,
    histogram,
    set_aside_of,
    tokens_by_source,
)
from unix_lib.pack.reader import Document, PackReader
from unix_lib.recipes.scale import short

COUNTS = {"documents": "documents", "text": "text_tokens", "image": "image_tokens", "trained": "trained_tokens"}


def source_table(sources: dict[str, SourceStatistics]) -> Table:
    """A row for each source: how much, of what, in which scripts, and what was set aside."""
    headings = ("source", "records", "kinds", "characters", "scripts", "set aside")
    rows = [[name, *_cells(found)] for name, found in sources.items()]
    note = (
        "Characters: 5%, half and 95% of the texts are shorter. Kinds, characters and scripts are those of at most "
        f"{TEXTS:,} texts of a source, spread over all."
    )
    return Table("Records", headings, frozenset({"records", "characters"}), rows, note)


def _cells(found: SourceStatistics) -> list[str]:
    seen = sum(found.kinds.values())
    kinds = ", ".join(f"{in_words(kind)} {count / seen:.0%}" for kind, count in found.kinds.most_common())
    low, middle, high = np.percentile(found.characters, (5, 50, 95)) if found.characters else (0, 0, 0)
    aside = ", ".join(f"{count:,} {reason}" for reason, count in found.rejected.most_common())
    return [f"{found.records:,}", kinds, f"{low:.0f} / {middle:.0f} / {high:.0f}", found.main_scripts, aside or "none"]


def token_table(folder: Path) -> Table:
    """A row for each source of a mixture: its tokens over all epochs."""
    rows = [
        [source, *(short(counts[kind]) for kind in COUNTS.values())]
        for source, counts in tokens_by_source(read_manifest(folder)).items()
    ]
    aside = ", ".join(f"{count:,} {reason}" for reason, count in set_aside_of(folder).most_common())
    return Table("Tokens of all epochs", ("source", *COUNTS), frozenset(COUNTS), rows, f"Set aside: {aside or 'none'}.")


def length_histograms(documents: Iterable[Document]) -> list[Histogram]:
    """How many tokens documents have, by format."""
    found: dict[str, list[int]] = {}
    for document in documents:
        found.setdefault(in_words(document.form.name), []).append(len(document.input_ids))
    return [
        Histogram(f"{form}: tokens of {len(lengths):,} documents", histogram(np.array(lengths)))
        for form, lengths in sorted(found.items())
    ]


def shown_mixture(title: str, reader: PackReader, documents: list[Document]) -> Shown:
    """A mixture's tokens by source, and how long documents of some of its packs are."""
    packs = len(reader)
    lead = f"How long its documents are was seen in {min(PACKS, packs):,} of {packs:,} packs, spread over all epochs"
    return Shown(title, lead, tables=[token_table(reader.folder)], histograms=length_histograms(documents))

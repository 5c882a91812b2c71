"""What an experiment's data add up to, from what is made: records, tokens, lengths, scripts, what was set aside.

Texts are looked at in a spread sample of each source and documents in a spread sample of the packs, so that it takes
seconds however much there is; what manifests say is of everything.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.look.samples import MadeSource, texts_of
from unix_lib.pack.reader import Document, PackReader
from unix_lib.records.schema import Row
from unix_lib.records.scripts import scripts_of
from unix_lib.records.shards import SPLITS, shard_paths
from unix_lib.sources.in_place.records import SET_ASIDE

TEXTS = 2000  # of a source that are looked at
PACKS = 500  # of a mixture that are looked at
BINS = 12  # of a histogram


@dataclass
class SourceStatistics:
    """A source's records.

    Attributes:
        kinds, characters, scripts: of the texts that were looked at.
    """

    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    characters: list[int] = field(default_factory=list)
    scripts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def main_scripts(self) -> str:
        """Scripts with their shares of the letters, those below a hundredth left out."""
        total = sum(self.scripts.values())
        return ", ".join(f"{name} {n / total:.0%}" for name, n in self.scripts.most_common() if n >= 0.01 * total)


def source_statistics(source: MadeSource) -> SourceStatistics:
    """Of a source's finished artefacts; what was set aside of its images and codes counts too."""
    found = SourceStatistics()
    for folder in source.records:
        manifest = read_manifest(folder)
        found.records += sum(entry.rows or 0 for entry in manifest.files if entry.path.startswith(SPLITS))
        found.rejected.update(manifest.rejected)
    for folder in (*source.images, *source.codes):
        found.rejected.update(read_manifest(folder).rejected)
    found.rejected.pop(SET_ASIDE, None)  # of a record; why is counted with its image
    for row in spread_rows(source.records):
        text = "\n".join(texts_of(row))
        found.kinds[row["kind"]] += 1
        found.characters.append(len(text))
        found.scripts += scripts_of(text)
    return found


def spread_rows(folders: list[Path]) -> Iterator[Row]:
    """Rows from the beginnings of row groups that are evenly spread over the shards."""
    groups = []
    for folder in folders:
        for split in SPLITS:
            for path in shard_paths(folder, split):
                groups += [(path, group) for group in range(pq.read_metadata(path).num_row_groups)]
    step = -(-len(groups) // 64) or 1
    chosen = groups[::step]
    for path, group in chosen:
        with pq.ParquetFile(path) as file:
            rows = -(-TEXTS // len(chosen))
            batches = file.iter_batches(rows, row_groups=[group], columns=["sample_id", "kind", "text", "messages"])
            yield from next(batches).to_pylist()


def spread_documents(reader: PackReader) -> Iterator[Document]:
    """Documents of at most `PACKS` packs that are evenly spread over all epochs."""
    for index in spread(len(reader), PACKS):
        yield from reader.documents(index)


def spread(of: int, most: int) -> list[int]:
    """At most so many whole numbers below `of`, the first and the last of them, evenly spread."""
    return sorted({round(float(place)) for place in np.linspace(0, of - 1, min(most, of))})


def histogram(values: np.ndarray) -> list[tuple[int, int, int]]:
    """(from, up to, how many) of whole numbers, bins of one width, the last one including its end."""
    low, high = int(values.min()), int(values.max())
    width = max(1, -(-(high - low + 1) // BINS))
    counts = np.bincount((values - low) // width)
    return [(low + i * width, min(high, low + (i + 1) * width - 1), int(n)) for i, n in enumerate(counts)]


def set_aside_of(folder: Path) -> Counter[str]:
    """What was set aside, by reason, of a finished pack artefact and of the tokens that it names."""
    found = Counter(read_manifest(folder).rejected)
    for artefact in recipe_of(folder).upstream:
        if artefact.startswith("tokenize/"):
            found.update(read_manifest(folder.parents[1] / artefact).rejected)
    return found


def tokens_by_source(manifest: Manifest) -> dict[str, Counter[str]]:
    """Documents, text, image and trained tokens of each source, over all epochs of a mixture."""
    found: dict[str, Counter[str]] = {}
    for file, facts in manifest.facts["files"].items():
        if file.startswith("epoch-"):
            for source, counts in facts["parts"].items():
                found.setdefault(source, Counter()).update(counts)
    return found

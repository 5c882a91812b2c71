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
from unix_lib.pack.reader import PackReader
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


def source_statistics(records: list[Path], beside: list[Path]) -> SourceStatistics:
    """Of a source's finished artefacts.

    Args:
        beside: artefacts whose rejected samples count too: its images and codes.
    """
    found = SourceStatistics()
    for folder in records:
        manifest = read_manifest(folder)
        found.records += sum(entry.rows or 0 for entry in manifest.files if entry.path.startswith(SPLITS))
        found.rejected.update(manifest.rejected)
    for folder in beside:
        found.rejected.update(read_manifest(folder).rejected)
    found.rejected.pop(SET_ASIDE, None)  # of a record; why is counted with its image
    for row in _spread_rows(records):
        text = row["text"] or "\n".join(message["content"] or "" for message in row["messages"] or [])
        found.kinds[row["kind"]] += 1
        found.characters.append(len(text))
        found.scripts += scripts_of(text)
    return found


def _spread_rows(folders: list[Path]) -> Iterator[Row]:
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
            batches = file.iter_batches(rows, row_groups=[group], columns=["kind", "text", "messages"])
            yield from next(batches).to_pylist()


@dataclass(frozen=True)
class DocumentLengths:
    """Tokens of documents of a mixture, by format, of the packs that were looked at."""

    by_form: dict[str, np.ndarray]  # int64
    packs: int
    of: int


def document_lengths(folder: Path) -> DocumentLengths:
    """Of a finished pack artefact, all epochs."""
    reader = PackReader(folder)
    chosen = np.unique(np.linspace(0, len(reader) - 1, min(PACKS, len(reader))).round().astype(int)).tolist()
    found: dict[str, list[int]] = {}
    for index in chosen:
        for document in reader.documents(index):
            found.setdefault(document.form.name.lower(), []).append(len(document.input_ids))
    by_form = {form: np.array(lengths) for form, lengths in sorted(found.items())}
    return DocumentLengths(by_form, len(chosen), len(reader))


def histogram(values: np.ndarray) -> list[tuple[int, int, int]]:
    """(from, up to, how many) of whole numbers, bins of one width, the last one including its end."""
    low, high = int(values.min()), int(values.max())
    width = max(1, -(-(high - low + 1) // BINS))
    counts = np.bincount((values - low) // width)
    return [(low + i * width, min(high, low + (i + 1) * width - 1), int(n)) for i, n in enumerate(counts)]


def tokens_by_source(manifest: Manifest) -> dict[str, Counter[str]]:
    """Documents, text, image and trained tokens of each source, over all epochs of a mixture."""
    found: dict[str, Counter[str]] = {}
    for file, facts in manifest.facts["files"].items():
        if file.startswith("epoch-"):
            for source, counts in facts["parts"].items():
                found.setdefault(source, Counter()).update(counts)
    return found

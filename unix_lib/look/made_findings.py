"""What finished data say of themselves: the questions of a check, asked of what will be trained on."""

from collections import Counter
from collections.abc import Iterator

from unix_lib.look.findings import Finding
from unix_lib.look.samples import MadeSource
from unix_lib.look.source_findings import of_marks
from unix_lib.look.statistics import SourceStatistics, spread_rows


def of_made_source(source: MadeSource, found: SourceStatistics) -> Iterator[Finding]:
    """How much of a source was set aside, and whether its texts hold marks that would be learned."""
    where = f"sources.{source.name}"
    yield of_rejected(where, found.rejected, found.records)
    yield from of_marks(where, list(spread_rows(source.records)))


def of_rejected(where: str, rejected: Counter[str], kept: int) -> Finding:
    """How much was set aside, by reason."""
    count = rejected.total()
    if not count:
        return Finding("ok", where, f"{kept:,} samples, none was set aside")
    what = f"{count:,} of {kept + count:,} samples were set aside: "
    what += ", ".join(f"{number:,} x {reason}" for reason, number in rejected.most_common())
    return Finding("look", where, what, "each is in the rejected.parquet of its artefact")

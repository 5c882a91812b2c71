"""What `plan` says of mixtures: the tokens of each source and modality in an epoch, before anything is trained."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.commands.marks import NOT_MEASURED
from unix_lib.config.strict import ConfigError
from unix_lib.recipes.mixture_tokens import BYTES_PER_TOKEN, PartTokens, mixture_tokens
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.scale import short


def print_mixtures(plan: Plan, results: Path, console: Console) -> list[str]:
    """Print the table, where there are mixtures; returns what must be said of it, a line each."""
    lines, rows = [], []
    measured = True
    for name, mixture in plan.experiment.mixtures.items():
        try:
            parts = mixture_tokens(plan, results, name)
        except ConfigError as error:
            lines.append(f"Not known yet: {error}")
            continue
        measured &= all(part.measured for part in parts)
        rows += list(_rows(name, parts))
        lines += [
            f"pack.mixtures.{name}: each record of source {own.source} is used about {own.weight:.3g} times an epoch."
            for own, part in zip(parts, mixture.parts, strict=True)
            if own.weight > 1 and not part.weighted
        ]
        lines += [
            f"pack.mixtures.{name}: source {own.source} gives no document; see what its jobs set aside."
            for own in parts
            if own.measured and not own.documents
        ]
    if rows:
        table = Table(title="Tokens of an epoch", title_justify="left")
        for heading in ("mixture", "source", "uses", "documents", "text", "image", "share", "trained"):
            table.add_column(heading, justify="left" if heading in ("mixture", "source") else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    if not measured:
        lines.append(
            f"{NOT_MEASURED} tokens: an estimate, by {BYTES_PER_TOKEN:g} bytes a token and the first records that are "
            "there; counted once the mixture is packed."
        )
    return lines


def _rows(mixture: str, parts: list[PartTokens]) -> Iterator[list[str]]:
    """A row for each source, and one for all where there are several."""
    total = sum(part.text_tokens + part.image_tokens for part in parts)
    for part in parts:
        yield [mixture, part.source, f"{part.weight:.3g}", *_figures([part], total)]
    if len(parts) > 1:
        yield [mixture, "all", "", *_figures(parts, total)]


def _figures(parts: list[PartTokens], total: float) -> list[str]:
    mark = "" if all(part.measured for part in parts) else NOT_MEASURED
    documents, text, image = (
        sum(column)
        for column in zip(*((part.documents, part.text_tokens, part.image_tokens) for part in parts), strict=True)
    )
    trained = sum(part.trained_tokens or 0 for part in parts)
    counts = [f"{mark}{short(count)}" if count else "0" for count in (documents, text, image)]
    share = f"{mark}{(text + image) / total:.1%}" if total else ""
    return [*counts, share, "" if mark else short(trained)]

"""`evaluate`: scores of models on benchmarks, without an experiment around them, in tables."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from rich import box
from rich.console import Console
from rich.table import Table

from unix_lib.artefacts.code import code_at_start
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import atomic_path
from unix_lib.commands.marks import marked
from unix_lib.evaluate.tables import SCORES
from unix_lib.records.schema import Row
from unix_lib.scoring.lists import list_of, read_list
from unix_lib.scoring.score import Asked, Scored, score_model

EVALUATED = Path("results/evaluated")
LISTS = (".yaml", ".yml")


def run(what: Sequence[str], options: Mapping[str, Any], csv: Path | None, console: Console) -> int:
    """Score every model and print its scores; returns 1 when a score is missing.

    Args:
        what: checkpoints and addresses of models, or one file with a list of models.
        options: keys of `ScoredModel`, and `config`, for models that don't say it themselves.
        csv: a file that all scores are written to as well.

    Raises:
        UserError: a list that can't be read, or one beside checkpoints.
    """
    code_at_start()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lists = [path for path in map(Path, what) if path.suffix in LISTS]
    if lists and len(what) > 1:
        raise UserError(f"{lists[0]}: a list of models stands alone; put the other checkpoints into it")
    wanted = read_list(lists[0], options) if lists else list_of(what, options)
    asked = Asked.of(wanted, EVALUATED)
    outcomes: list[Scored] = []
    failed = 0
    for model in wanted.models:
        try:
            outcomes.append(score_model(model, asked))
        except UserError as error:
            failed += 1
            console.print(marked("not scored", "red", f"{model.called}: {error}"), soft_wrap=True, highlight=False)
    for scored in outcomes:
        for name, fault in scored.faults.items():
            failed += 1
            told = f"{scored.model}: {name}: {fault}"
            console.print(marked("not scored", "red", told), soft_wrap=True, highlight=False)
    if any(scored.rows for scored in outcomes):
        for table in _tables(outcomes):
            console.print(table)
        console.print(f"Answers and scores are in {EVALUATED}; `unix-lib verify {EVALUATED}` proves them.")
    if csv is not None:
        _write(outcomes, csv)
    return 1 if failed else 0


def _tables(outcomes: Sequence[Scored]) -> Iterator[Table]:
    """A table for each benchmark, protocol and judge, within which scores compare; a row per score.

    Scores above chance, which say the same again, are left to the file.
    """
    tables: dict[tuple[str, str, str], Table] = {}
    for scored in outcomes:
        for row in scored.rows:
            compared = (row["benchmark"], row["protocol"], row["judge"])
            if compared not in tables:
                tables[compared] = _empty_table(*compared)
            if not row["metric"].endswith("_minus_chance"):
                tables[compared].add_row(scored.model, row["metric"], *_numbers(row))
    yield from tables.values()


def _empty_table(benchmark: str, protocol: str, judge: str) -> Table:
    title = f"{benchmark} ({protocol}" + f"; judge: {judge}" * bool(judge) + ")"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("model", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("value", "95% interval", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _numbers(row: Row) -> tuple[str, str, str]:
    if row["value"] is None:
        return "undefined", "", str(row["n"])
    places = 1 if abs(row["value"]) >= 10 else 4
    interval = "" if row["low"] is None else f"[{row['low']:.{places}f}, {row['high']:.{places}f}]"
    return f"{row['value']:.{places}f}", interval, str(row["n"])


def _write(outcomes: Sequence[Scored], path: Path) -> None:
    """All scores as CSV: the columns of `scores.parquet`, and the model's name before them."""
    rows = [{"model": scored.model} | row for scored in outcomes for row in scored.rows]
    with atomic_path(path) as temporary:
        pyarrow.csv.write_csv(
            pa.Table.from_pylist(rows, pa.schema([pa.field("model", pa.string()), *SCORES])), temporary
        )

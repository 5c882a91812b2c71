"""Finished experiments beside a planned one, the nearest first, and the variance that says most of a planned part."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, open_artefact, read_manifest
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.figures.inputs import Inputs
from unix_lib.power.variances import TABLE, Variance, variance_table, variances_of, variances_of_claims
from unix_lib.recipes.workspace import PLANNED, read_digests

# Roles and the table of each that is read, by stage and kind of recipe; what has none says nothing.
READ = {
    ("train", "checkpoint"): ("checkpoints", "log.parquet"),
    ("evaluate", "scores"): ("evaluations", "scores.parquet"),
    ("analyze", "conflict"): ("conflict", "conflict.parquet"),
    ("analyze", "entropy"): ("entropy", "entropy.parquet"),
    ("analyze", "document_losses"): ("document_losses", "document_losses.parquet"),
}


@dataclass
class Finished:
    """What is known from the experiments below a folder of results.

    Attributes:
        ranked: lists of variances, those that say most first: own artefacts, own table, others' artefacts and tables,
            intervals of claims tables.
        skipped: what could not be read, a line each.
    """

    ranked: list[list[Variance]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @classmethod
    def beside(cls, results: Path) -> "Finished":
        """Of `results/<experiment>` and the experiments beside it."""
        found = cls()
        folders = [results, *sorted(folder for folder in results.parent.glob("*/") if folder.name != results.name)]
        for folder in folders:
            if (folder / PLANNED).is_file():
                found._read(folder, _of_artefacts)
            if (folder / "summary" / TABLE).is_file():
                found._read(folder / "summary" / TABLE, _of_table)
        for folder in folders:
            if (folder / "summary" / "claims.csv").is_file():
                found._read(folder / "summary" / "claims.csv", variances_of_claims)
        return found

    def _read(self, path: Path, reader: Callable[[Path], Iterable[Variance]]) -> None:
        try:
            self.ranked.append(list(reader(path)))
        except (UserError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            # Of an earlier version, or damaged: nothing to learn from.
            told = str(error) if isinstance(error, UserError) else type(error).__name__
            self.skipped.append(f"{path}: no variances from it: {told}")

    def of(self, outcome: str, arm: str, part: str, doses: int = 0) -> tuple[Variance | None, list[str]]:
        """The variance for a planned part, of a slope one over as many doses, and what is lacking where there is none.

        The same part of the same arm counts first, then of another arm, then one that begins alike, then another of
        the outcome; of several the one that varied most.
        """
        full = f"{arm}, {part}" if arm and part else arm or part
        beginning = part.partition(",")[0]
        likenesses: tuple[Callable[[str], bool], ...] = (
            lambda other: other == full,
            lambda other: other == part or other.endswith(f", {part}"),
            lambda other: beginning in other,
            lambda other: True,
        )
        lacking: dict[str, list[str]] = {}
        for alike in likenesses:
            for variances in self.ranked:
                like = [each for each in variances if each.outcome == outcome and alike(each.part)]
                known = [each for each in like if each.known and each.doses == doses]
                for each in like:
                    lacking.setdefault(each.lacking or f"over {each.doses} doses, not {doses}", []).append(each.origin)
                if known:
                    return max(known, key=lambda each: each.known[0].spread.runs + each.known[0].spread.shared), []
        return None, [f"{', '.join(dict.fromkeys(origins))}: {what}" for what, origins in lacking.items()]


def _of_artefacts(results: Path) -> Iterator[Variance]:
    return variances_of(variance_table(inputs_of(results)), str(results))


def _of_table(path: Path) -> Iterator[Variance]:
    return variances_of(pd.read_csv(path, dtype={"outcome": str}), f"{path.parents[1]} ({path.name})")


def inputs_of(results: Path) -> Inputs:
    """What claims are decided by, of the finished artefacts that a results folder's plan has.

    Raises:
        UserError: one of them is damaged.
    """
    roles: dict[str, list[str]] = {}
    last: dict[str, tuple[int, str]] = {}
    for stage, jobs in read_digests(results).items():
        for name, digest in jobs.items():
            artefact = f"{stage}/{name}-{digest}"
            if stage not in ("train", "evaluate", "analyze") or not (results / artefact / MANIFEST).is_file():
                continue
            recipe = recipe_of(results / artefact)
            role, table = READ.get((stage, recipe.kind), ("", ""))
            if table not in {entry.path for entry in read_manifest(results / artefact).files}:
                continue
            if stage == "train":  # whose weights are not read
                run = recipe.settings["run"]
                last[run] = max(last.get(run, (-1, "")), (recipe.settings["step"], artefact))
                continue
            open_artefact(results / artefact)
            roles.setdefault(role, []).append(artefact)
    return Inputs(results, roles | {"checkpoints": [artefact for _, artefact in last.values()]})

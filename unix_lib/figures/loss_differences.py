"""The second outcome of claims 3 and 4: held-out loss of each modality, paired by document and seed at equal tokens.

The mean over sources of what the other architecture's loss per target is above Uni-X's, so positive where the claims
hold. Documents are the same for all seeds, so their part of the uncertainty does not shrink with more of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unix_lib.evaluate.intervals import error_of_ratio
from unix_lib.figures.evidence import REPLICATES, SEED, Difference, over_seeds, student_draws, verdict_of
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import compared_unix, ordered_architectures, preset_of

MODALITIES = ("text", "image")


@dataclass(frozen=True)
class LossDifference:
    """The other architecture's held-out loss minus Uni-X's at one step, nats per target."""

    unix: str
    other: str
    modality: str
    step: int
    last: bool  # of the steps that both have: the outcome; earlier ones show how it came
    means: tuple[float, float]  # of the other, of Uni-X
    difference: Difference
    seeds: list[int]
    by_seed: np.ndarray  # float (S,), of each seed
    noise: np.ndarray  # float (R, S), how far other documents would move it; alike in all seeds
    verdict: str
    reason: str


def measured_loss_differences(inputs: Inputs) -> list[LossDifference]:
    """Of all that exists; none where no losses were measured."""
    losses = inputs.table("document_losses", "document_losses.parquet")
    return list(loss_differences(losses)) if len(losses) else []


def loss_differences(losses: pd.DataFrame) -> Iterator[LossDifference]:
    """Uni-X against every architecture that is not Uni-X, from the rows of `document_losses.parquet`."""
    names = ordered_architectures(losses.architecture)
    unix = compared_unix(names)
    for other in names:
        if unix is None or preset_of(other) == "unix":
            continue
        sides = [losses[losses.architecture == name] for name in (other, unix)]
        # At a step both have trained on equally many tokens: runs of one experiment take the same packs.
        steps = sorted(set(sides[0].step) & set(sides[1].step))
        for modality in MODALITIES:
            for step in steps:
                at_step = [rows[rows.step == step] for rows in sides]
                seeds = sorted(set(at_step[0].seed) & set(at_step[1].seed))
                found = _difference(at_step, modality, seeds)
                if found is not None:
                    means, difference, by_seed, noise = found
                    yield LossDifference(
                        *(unix, other, modality, step, step == steps[-1], means, difference),
                        *(seeds, by_seed, noise),
                        *verdict_of(difference, of_training=True),
                    )


def _difference(
    sides: list[pd.DataFrame], modality: str, seeds: list[int]
) -> tuple[tuple[float, float], Difference, np.ndarray, np.ndarray] | None:
    """Both mean losses, their difference, by seed, and its noise; None without documents that both have."""
    paired = _paired(sides, modality, seeds)
    if paired is None:
        return None
    of_sources = [rows for _, rows in paired.groupby("source")]
    point, errors, means = [], [], []
    for rows in of_sources:
        targets = rows.targets.to_numpy()
        both = np.stack([rows[[(side, seed) for seed in seeds]].to_numpy() for side in (0, 1)])  # (2, D, S)
        per_target = both.sum(axis=1) / targets.sum()  # (2, S)
        means.append(per_target)
        point.append(per_target[0] - per_target[1])
        errors.append(error_of_ratio((both[0] - both[1]).mean(axis=1), targets))
    count = len(of_sources)
    error, freedom = float(np.sum(np.square(errors))) ** 0.5 / count, min(len(rows) for rows in of_sources) - 1
    noise = student_draws(freedom, REPLICATES, SEED + 2)[:, None] * error
    values = np.mean(point, axis=0)
    level = np.mean(means, axis=(0, 2))
    found = over_seeds(values + noise, values, len(paired))
    return (float(level[0]), float(level[1])), found, values, np.repeat(noise, len(seeds), axis=1)


def _paired(sides: list[pd.DataFrame], modality: str, seeds: list[int]) -> "pd.DataFrame | None":
    """A row per document that all these runs were measured on; sources with fewer than two are left out.

    Columns: `source, targets`, and the summed loss by (side, seed).
    """
    columns: dict[object, pd.Series] = {}
    for place, side in enumerate(sides):
        own = side[side[f"targets_{modality}"] > 0]
        for seed in seeds:
            rows = own[own.seed == seed].drop_duplicates(["source", "document"]).set_index(["source", "document"])
            columns[place, seed] = rows[f"loss_{modality}"]
            columns["targets"] = rows[f"targets_{modality}"]
    table = pd.DataFrame(columns).dropna() if seeds else pd.DataFrame()
    if table.empty:
        return None
    table = table.reset_index().rename(columns={"level_0": "source"})
    table = table[table.groupby("source").source.transform("size") > 1]
    return table if len(table) else None

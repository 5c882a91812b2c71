"""Two architectures' mean scores held against each other, so that what a blind guesser gets too decides nothing.

A score above chance is (value - chance) / (1 - chance): 0 for a blind guesser, 1 where all is right. Scores are means
over families of benchmarks, of tasks where a benchmark is a mean over them, of prompts. A benchmark says which of two
architectures knows more only where at least one of them is above chance beyond its interval: without that, "no" to
every question would beat answers that can't be read by half the questions.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from unix_lib.evaluate.intervals import Z_95
from unix_lib.figures.evidence import REPLICATES, SEED, Difference, over_seeds
from unix_lib.figures.family_means import FAMILIES


@dataclass(frozen=True)
class Comparison:
    """One architecture's mean score above chance minus another's.

    Attributes:
        difference: benchmarks on which neither is above chance beyond its interval add nothing to it but their noise;
            on the others a run below chance counts as one at chance. Knowledge too small to be seen may be spread over
            many benchmarks, so its interval also holds that of all benchmarks, heard or not.
        means: both mean scores behind the difference.
        heard: benchmarks on which one is above chance.
        silent: the others.
        seeds: those that both have.
        by_seed: float (S,), each seed's difference over all benchmarks, heard or not.
        noise: float (R, S), how far a resample of the prompts moves it.
    """

    difference: Difference
    means: tuple[float, float]
    heard: list[str]
    silent: list[str]
    seeds: list[int]
    by_seed: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class _Benchmark:
    """Two sides' scores above chance on one benchmark in S seeds.

    Attributes:
        scores: float (2, S), 0 where below chance.
        noise: float (R, S), how far a resample moves their difference.
        heard: whether a side's mean over seeds is above chance beyond its 95% interval.
        n: prompts.
        strata: float (K, 2, S), what each task (a benchmark without tasks is one) adds to the scores.
    """

    scores: np.ndarray
    noise: np.ndarray
    heard: bool
    n: int
    strata: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """float (2, S), the scores as far as they show knowledge."""
        return self.heard * self.scores


def compare_scores(values: pd.DataFrame, better: str, other: str) -> Comparison | None:
    """Compare by a paired bootstrap over prompts; differences are positive where `better` scores higher.

    `values` are those of `prompt_values`; prompts without a known chance are left out. None where the two share no
    seed or a family has no benchmark that both answered.
    """
    sides = [better, other]
    rows = values[values.architecture.isin(sides)].dropna(subset=["chance"])
    seeds = sorted(set.intersection(*(set(rows[rows.architecture == side].seed) for side in sides)))
    if not seeds:
        return None
    columns = pd.MultiIndex.from_product([["value", "chance"], sides, seeds])
    rng = np.random.default_rng(SEED)
    families: list[dict[str, _Benchmark]] = []
    for family in FAMILIES:
        families.append({})
        for name, answers in rows[rows.family == family].groupby("benchmark"):
            keys = {"index": ["stratum", "prompt"], "columns": ["architecture", "seed"]}
            paired = answers.pivot_table(**keys, values=["value", "chance"]).reindex(columns=columns).dropna()
            if len(paired):
                families[-1][str(name)] = _benchmark(paired, len(seeds), rng)
    if not all(families):
        return None
    benchmarks = {name: benchmark for family in families for name, benchmark in family.items()}
    n = sum(benchmark.n for benchmark in benchmarks.values())
    noise = _mean_of_means([[each.noise for each in family.values()] for family in families])
    known = _mean_of_means([[each.known for each in family.values()] for family in families])
    all_scores = _mean_of_means([[each.scores for each in family.values()] for family in families])
    margins = [_margin_of_runs(families, only_heard=only_heard) for only_heard in (True, False)]
    seen, unseen = (
        over_seeds(noise + (side - against), side - against, n, margin)
        for (side, against), margin in zip((known, all_scores), margins, strict=True)
    )
    return Comparison(
        replace(seen, low=min(seen.low, unseen.low), high=max(seen.high, unseen.high)),
        (float(known[0].mean()), float(known[1].mean())),
        heard=[name for name, benchmark in benchmarks.items() if benchmark.heard],
        silent=[name for name, benchmark in benchmarks.items() if not benchmark.heard],
        seeds=seeds,
        by_seed=all_scores[0] - all_scores[1],
        noise=noise,
    )


def _margin_of_runs(families: list[dict[str, _Benchmark]], *, only_heard: bool) -> float:
    """The 95% margin that runs have which learn each task by chance, whatever their architecture; 0 of one seed.

    Three seeds of an architecture may all learn a task that three of the other don't: the spread within each is then 0,
    and Student's t over three differences takes chance for certainty. A task's spread over the runs of *both* sides
    can't vanish so, and several tasks have more degrees of freedom than seeds have (Welch and Satterthwaite). Tasks of
    a run that go together are the business of the spread over seeds.
    """
    squares, terms = 0.0, 0.0
    for family in families:
        for benchmark in family.values():
            runs = benchmark.strata.reshape(len(benchmark.strata), -1)  # (K, 2 S)
            if runs.shape[1] < 2 * 2 or (only_heard and not benchmark.heard):
                continue
            of_tasks = runs.var(axis=1, ddof=1) * 4 / runs.shape[1] / (len(families) * len(family)) ** 2
            squares += float(of_tasks.sum())
            terms += float((of_tasks**2).sum()) / (runs.shape[1] - 1)
    return float(special.stdtrit(squares**2 / terms, 0.975)) * squares**0.5 if terms > 0 else 0.0


def _mean_of_means(families: list[list[np.ndarray]]) -> np.ndarray:
    return np.asarray(np.mean([np.mean(family, axis=0) for family in families], axis=0))


def _benchmark(paired: pd.DataFrame, seeds: int, rng: np.random.Generator) -> _Benchmark:
    """Resample prompts within strata, the same ones for both sides and all seeds.

    `paired` has a row per prompt, by stratum; its columns are values and chances by side and seed. Few prompts make
    replicates too narrow. As for single scores (`unix_lib.evaluate.intervals.bootstrap`), one prompt fewer than there
    are is drawn, and deviations are stretched to Student's t; they are also never narrower than what Wilson's interval
    leaves possible where all answers are wrong.
    """
    replicates, points = [], []
    strata = [rows.to_numpy() for _, rows in paired.groupby(level="stratum")]
    for prompts in strata:
        count = len(prompts)
        drawn = max(1, count - 1)
        weights = rng.multinomial(drawn, np.full(count, 1.0 / count), size=REPLICATES) / drawn
        replicates.append(weights @ prompts)
        points.append(prompts.mean(axis=0))
    n = len(paired)
    point, resampled = (np.mean(means, axis=0).reshape(-1, 2, 2, seeds) for means in (points, replicates))
    scores = _above_chance(point)[0]
    stretch = special.stdtrit(max(1, n - len(strata)), 0.975) / Z_95
    deviations = stretch * (_above_chance(resampled) - scores)
    least = stretch * Z_95 / (n + Z_95**2) / max(1 - point[0, 1].mean(), 1e-9)
    lowest = [
        scores[side].mean() + np.percentile(_widened(deviations[:, side], least, rng).mean(axis=1), 2.5)
        for side in (0, 1)
    ]
    noise = _widened(deviations[:, 0] - deviations[:, 1], least, rng)
    share = len(points) * max(1 - point[0, 1].mean(), 1e-9)
    of_strata = np.stack(points).reshape(-1, 2, 2, seeds)[:, 0] / share
    return _Benchmark(np.maximum(scores, 0.0), noise, heard=max(lowest) > 0, n=n, strata=of_strata)


def _above_chance(means: np.ndarray) -> np.ndarray:
    """float (R, 2, S) from (R, 2, 2, S), means and chances of two sides; 0 where chance leaves nothing to know."""
    value, chance = means[:, 0], means[:, 1]
    above: np.ndarray = np.divide(value - chance, 1 - chance, out=np.zeros_like(value), where=chance < 1)
    return above


def _widened(noise: np.ndarray, least: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (R, S) whose mean over seeds has at least the standard deviation `least`."""
    missing = max(0.0, least**2 - float(noise.mean(axis=1).var()))
    widened: np.ndarray = noise + missing**0.5 * rng.normal(size=(len(noise), 1))
    return widened

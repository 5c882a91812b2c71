"""Claims 4 to 7, on what architectures score and how fast they train: from tables to differences and verdicts."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import special

from unix_lib.artefacts.manifest import has_beside, read_manifest
from unix_lib.figures.evidence import (
    NOT_MEASURABLE,
    REPLICATES,
    SEED,
    Difference,
    Finding,
    Spread,
    not_measurable,
    over_seeds,
    verdict_of,
)
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import (
    ARCHITECTURE_ROWS,
    MULTIMODAL_ROWS,
    SECOND_HAND,
    TEXT_BENCHMARKS,
    TEXT_ROWS,
)
from unix_lib.figures.samples import blind_answers, blind_words, prompt_values
from unix_lib.figures.score_comparison import compare_scores
from unix_lib.figures.scores import final_scores, headline_scores, over_benchmarks
from unix_lib.figures.scores import over_seeds as mean_over_seeds
from unix_lib.figures.style import PAPER_SPLIT, architecture_name, compared_unix, ordered_architectures, preset_of
from unix_lib.train.log import SPEED

WARM_UP_SHARE = 0.1  # of the steps, left out of throughput
LEAST_ACTIVE, MOST_ACTIVE = 2.5e9, 3.5e9  # ASSUME: what counts as the paper's 3B active parameters


def score_claim(samples: pd.DataFrame) -> Iterator[Finding]:
    """Uni-X against every architecture that is not Uni-X."""
    names = ordered_architectures(samples.architecture)
    unix = compared_unix(names)
    others = [name for name in names if preset_of(name) != "unix"]
    if unix is None or not others:
        yield not_measurable(4, "", _published_means("shared"), "needs Uni-X and another one evaluated")
        return
    for other in others:
        yield _score_finding(4, pair_name(unix, other), _published_means(preset_of(other)), samples, unix, other)


def _score_finding(  # noqa: PLR0917
    claim: int, part: str, published: str, samples: pd.DataFrame, better: str, other: str
) -> Finding:
    """The mean score of one architecture minus that of another, above chance, on the seeds that both have."""
    both = samples[samples.architecture.isin([better, other])]
    values = prompt_values(both)
    comparison = compare_scores(values, better, other)
    if comparison is None:
        reason = "needs all three families of benchmarks, with a known chance, on a common seed"
        return not_measurable(claim, part, published, reason)
    sides = [values[values.architecture == name] for name in (better, other)]
    means = [100 * _mean_score(rows[rows.seed.isin(set(sides[0].seed) & set(sides[1].seed))]) for rows in sides]
    known = [100 * mean for mean in comparison.means]
    measured = f"{means[0]:.1f} against {means[1]:.1f}; above chance {known[0]:.1f}, {known[1]:.1f}"
    difference = comparison.difference.times(100)
    verdict, reason = verdict_of(difference, of_training=True)
    if not comparison.heard:
        verdict, reason = NOT_MEASURABLE, "neither is above chance beyond its interval on any benchmark"
    elif comparison.silent:
        reason += f"; neither is above chance on {', '.join(comparison.silent)}"
    named = blind_words(blind_answers(both))
    return Finding(claim, part, published, measured, difference, verdict, f"{reason}; {named}" if named else reason)


def _published_means(other: str) -> str:
    """The paper's mean scores of Uni-X and another preset."""
    known = {row.model.lower(): row for row in ARCHITECTURE_ROWS}
    unix, against = known[architecture_name(PAPER_SPLIT).lower()], known.get(other)
    if against is None:
        return "better, figure not known"
    return (
        f"{unix.values[0]} against {against.values[0]}{' (?)' * (SECOND_HAND in (unix.certainty, against.certainty))}"
    )


def throughput_claim(inputs: Inputs) -> Iterator[Finding]:
    """Tokens per second in training, relative to the other architecture's; steps are resampled."""
    published = "second only to shared (?)"
    speeds: dict[str, dict[int, np.ndarray]] = {}
    on_gpu = True
    for folder in inputs.folders("checkpoints"):
        manifest = read_manifest(folder)
        if not has_beside(folder, manifest, SPEED) or manifest.facts["run"] not in _compared_runs(inputs):
            continue
        steps = pd.read_parquet(folder / SPEED).tokens_per_second.dropna().to_numpy()
        steps = steps[int(len(steps) * WARM_UP_SHARE) :]
        if len(steps):
            speeds.setdefault(manifest.facts["architecture"], {})[manifest.facts["seed"]] = steps
        on_gpu &= bool(manifest.provenance["execution"].get("job", {}).get("gpus"))
    names = ordered_architectures(pd.Series(list(speeds), dtype=object))
    unix = compared_unix(names)
    others = [name for name in names if preset_of(name) not in ("unix", "shared")]
    if unix is None or not others:
        yield not_measurable(5, "", published, "needs the speed of Uni-X and another one")
        return
    rng = np.random.default_rng(SEED)
    for other in others:
        seeds = sorted(set(speeds[unix]) & set(speeds[other]))
        if not seeds:
            continue
        sides = [[speeds[name][seed] for seed in seeds] for name in (unix, other)]
        medians = [np.mean([np.median(steps) for steps in side]) for side in sides]
        difference = faster_by(sides[0], sides[1], rng)
        verdict, reason = verdict_of(difference, of_training=True)
        if not on_gpu:
            verdict, reason = NOT_MEASURABLE, "trained on a shared CPU: the claim is about GPUs, shown for completeness"
        measured = f"{medians[0]:,.0f} against {medians[1]:,.0f} tokens/s"
        yield Finding(5, pair_name(unix, other), published, measured, difference, verdict, reason)


def faster_by(unix: list[np.ndarray], other: list[np.ndarray], rng: np.random.Generator) -> Difference:
    """How many percent faster the median step is, from the speeds of each seed's steps."""
    medians = [np.array([np.median(steps) for steps in side]) for side in (unix, other)]
    drawn = [np.stack([_resampled_median(steps, rng) for steps in side], axis=1) for side in (unix, other)]
    n, ratios = min(map(len, unix + other)), medians[0] / medians[1]
    margin = 0.0
    if len(ratios) > 1:
        # Ratios of a few pairs may agree by chance: at least as uncertain as the runs of both sides without pairs.
        relative = [side.var(ddof=1) / side.mean() ** 2 / len(side) for side in medians]
        margin = float(special.stdtrit(2 * len(ratios) - 2, 0.975)) * ratios.mean() * sum(relative) ** 0.5
    return over_seeds(drawn[0] / drawn[1] - 1, ratios - 1, n, margin).times(100)


def split_claim(samples: pd.DataFrame) -> Iterator[Finding]:
    """9:5 against every other split of a sweep on the 28-layer model."""
    published = "best of the sweep (?)"
    splits = [name for name in ordered_architectures(samples.architecture) if preset_of(name) == "unix"]
    others = [name for name in splits if name != PAPER_SPLIT]
    if PAPER_SPLIT not in splits or not others:
        yield not_measurable(6, "", published, "needs a sweep of splits with 9:5 among them")
        return
    for other in others:
        yield _score_finding(6, f"against {architecture_name(other)}", published, samples, PAPER_SPLIT, other)


def scale_claim(inputs: Inputs) -> Iterator[Finding]:
    """Uni-X of about 3B active parameters against the best published 7B model: the mean over Table 1, and GenEval.

    Questions and prompts are the benchmarks' own. Published scores have no intervals, so they are taken as exact.
    """
    scores = final_scores(headline_scores(inputs))
    if len(scores):
        scores = scores[~scores.local.astype(bool) & (scores.architecture.map(preset_of) == "unix")]
    unix = compared_unix(ordered_architectures(scores.architecture)) if len(scores) else None
    found = False
    for part, names, rows, column in (
        ("mean of Table 1", list(TEXT_BENCHMARKS), TEXT_ROWS, -1),
        ("GenEval", ["geneval"], MULTIMODAL_ROWS, 0),
    ):
        known = {row.model: row.values[column] or 0.0 for row in rows}
        best = max(value for model, value in known.items() if model.endswith("-7B"))
        published = f"{known['Uni-X-3B']} against {best} on {part}"
        own = scores[(scores.architecture == unix) & scores.benchmark.isin(names)] if unix else scores
        if unix and set(own.benchmark) == set(names):
            found = True
            yield _against_published(inputs, part, published, own, unix, best)
    if not found:
        yield not_measurable(7, "", published, "needs GenEval's own prompts, or all text benchmarks of Table 1")


def _against_published(  # noqa: PLR0917
    inputs: Inputs, part: str, published: str, scores: pd.DataFrame, unix: str, best: float
) -> Finding:
    by_benchmark = mean_over_seeds(scores, ["architecture", "benchmark"])
    mean = over_benchmarks(by_benchmark, ["architecture"]).iloc[0]
    active = _active_parameters(inputs, unix)
    measured = f"{100 * mean.value:.1f}, {active / 1e9:.2g}B active"
    difference = above_exact(mean, best)
    verdict, reason = verdict_of(difference, of_training=False)
    if not LEAST_ACTIVE <= active <= MOST_ACTIVE:
        verdict, reason = NOT_MEASURABLE, "the claim is about 3B active parameters, shown for completeness"
    judges = [judge for judge in scores.judge.unique() if judge]
    return Finding(7, part, published, measured, difference, verdict, "; judged by ".join([reason, *judges]))


def above_exact(mean: pd.Series, best: float) -> Difference:
    """A score, a row of `over_benchmarks`, minus a published one in percent.

    A normal interval of a share errs too often. This one is exact on as many yes/no samples as have the score's
    standard error (Korn and Graubard 1998), and holds the score's own.
    """
    value, error = float(mean["value"]), float(mean.standard_error)
    low, high = float(mean.low), float(mean.high)
    if error > 0 and 0 < value < 1:
        samples = value * (1 - value) / error**2
        right, wrong = samples * value, samples * (1 - value)
        low = min(low, float(special.betaincinv(right, wrong + 1, 0.025)))
        high = max(high, float(special.betaincinv(right + 1, wrong, 0.975)))
    value, low, high = (100 * bound - best for bound in (value, low, high))
    return Difference(value, low, high, int(mean.n), 0, Spread(0.0, 100 * error))


def _active_parameters(inputs: Inputs, architecture: str) -> float:
    """For text, of the last checkpoint of an architecture; NaN where none says."""
    every = [read_manifest(folder).facts for folder in inputs.folders("checkpoints")]
    known = [facts.get("parameters_text") for facts in every if facts.get("architecture") == architecture]
    return float(known[-1] or math.nan) if known else math.nan


def _mean_score(rows: pd.DataFrame) -> float:
    """Mean over families, benchmarks, strata and prompts, over seeds."""
    for keys in (
        ["family", "benchmark", "stratum", "prompt"],
        ["family", "benchmark", "stratum"],
        ["family", "benchmark"],
        ["family"],
    ):
        rows = rows.groupby(keys, as_index=False).value.mean()
    return float(rows.value.mean())


def pair_name(unix: str, other: str) -> str:
    """The part of a claim that holds these two against each other."""
    return f"{architecture_name(unix)} against {architecture_name(other)}"


def _compared_runs(inputs: Inputs) -> set[str]:
    """Runs that were evaluated, so that a base run's speed does not count as an architecture's."""
    return {read_manifest(folder).facts["run"] for folder in inputs.folders("evaluations")}


def _resampled_median(steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Medians of resamples of the steps, (R,)."""
    return np.repeat(np.median(rng.choice(steps, size=(REPLICATES // 4, len(steps))), axis=1), 4)

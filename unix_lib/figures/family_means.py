"""The number that compares architectures: the mean over text, generation and understanding, each a mean of benchmarks.

The paper takes the mean of MMLU, GenEval and MMBench; here each of the three is replaced by its family, so that a
small experiment averages over all the questions it has. The paper's own mean stands beside it where all three are.
"""

import pandas as pd

from unix_lib.figures.drawn_table import DASH, with_error
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import final_scores, headline_scores, over_benchmarks, over_seeds
from unix_lib.figures.style import architecture_name

FAMILIES = ("text", "generation", "understanding")
PAPER_MEAN, OF_PAPER_MEAN = "paper's mean", ("mmlu", "geneval", "mmbench")


def family_means(inputs: Inputs) -> pd.DataFrame:
    """Final scores per architecture, over seeds: rows `text`, `generation`, `understanding`, `mean` and `PAPER_MEAN`.

    Columns: `origin, certainty, model, architecture, family, value, standard_error, low, high, n, seeds, tokens`;
    percent. The mean is there only for an architecture with all three families, the paper's with its three benchmarks.
    """
    means = _means(inputs)
    for name in ("value", "standard_error", "low", "high"):
        means[name] = 100.0 * means[name]
    return means.assign(origin="measured", certainty="measured", model=means.architecture.map(architecture_name))


def left_out_of_means(inputs: Inputs) -> pd.DataFrame:
    """Benchmarks that say nothing of any run and stay out of the means: `family, benchmark, chance, least, most, runs`.

    No run's final score is above chance beyond its 95% interval: whatever differs between runs there is chance. A
    family of nothing else keeps them all, since without it there is no mean.
    """
    columns = ["family", "benchmark", "chance", "least", "most", "runs"]
    scores = final_scores(headline_scores(inputs))
    if scores.empty:
        return pd.DataFrame(columns=columns)
    chance = scores.chance.astype(float)  # all null, it is of no numbers
    known = scores.assign(above=~(chance > 0) | (scores.low > chance))
    table = known.groupby(["family", "benchmark"], as_index=False).agg(
        chance=("chance", "first"),
        least=("value", "min"),
        most=("value", "max"),
        runs=("value", "size"),
        above=("above", "any"),
    )
    return table[~table.above & table.groupby("family").above.transform("any")][columns]


def left_out_notes(inputs: Inputs) -> list[str]:
    """A line below a table of means; none where every benchmark is in them."""
    told = [
        f"{row.benchmark} ({100 * row.least:.0f} to {100 * row.most:.0f}, chance {100 * row.chance:.0f})"
        for row in left_out_of_means(inputs).itertuples()
    ]
    return [f"Not in the means, as no run is told from chance: {', '.join(told)}."] if told else []


def shown_means(means: pd.DataFrame) -> list[str]:
    """Columns of a table of `family_means`."""
    return [*FAMILIES, "mean", *[PAPER_MEAN] * bool((means.family == PAPER_MEAN).any())]


def mean_cells(means: pd.DataFrame, architecture: str, shown: list[str]) -> list[str]:
    """What a table shows of an architecture's rows of `family_means`, a cell for each of `shown_means`."""
    rows = means[means.architecture == architecture].set_index("family")
    return [with_error(rows.value[key], rows.standard_error[key]) if key in rows.index else DASH for key in shown]


def _means(inputs: Inputs) -> pd.DataFrame:
    scores = final_scores(headline_scores(inputs))
    if scores.empty:
        return pd.DataFrame(columns=["architecture", "family", "value", "standard_error", "low", "high", "n", "seeds"])
    counted = scores[~scores.benchmark.isin(left_out_of_means(inputs).benchmark)]
    by_family = over_benchmarks(counted, ["architecture", "run", "tokens", "family"])
    complete = by_family.groupby("run").family.transform("nunique") == len(FAMILIES)
    overall = over_benchmarks(by_family[complete], ["architecture", "run", "tokens"]).assign(family="mean")
    of_paper = scores[~scores.local.astype(bool) & scores.benchmark.isin(OF_PAPER_MEAN)]
    of_paper = of_paper[of_paper.groupby("run").benchmark.transform("nunique") == len(OF_PAPER_MEAN)]
    parts = [by_family, overall]
    if len(of_paper):
        parts.append(over_benchmarks(of_paper, ["architecture", "run", "tokens"]).assign(family=PAPER_MEAN))
    runs = pd.concat(parts, ignore_index=True)
    table = over_seeds(runs, ["architecture", "family"])
    return table.merge(scores.groupby("architecture").tokens.max().reset_index(), on="architecture")

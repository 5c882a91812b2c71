"""The number that compares architectures: the mean over text, generation and understanding, each a mean of benchmarks.

The paper takes the mean of MMLU, GenEval and MMBench; here each of the three is replaced by its family, so that a
small experiment averages over all the questions it has.
"""

import pandas as pd

from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import final_scores, headline_scores, over_benchmarks, over_seeds

FAMILIES = ("text", "generation", "understanding")


def family_means(inputs: Inputs) -> pd.DataFrame:
    """Final scores per architecture, over seeds: rows `text`, `generation`, `understanding` and `mean`.

    Columns: `architecture, family, value, standard_error, low, high, n, seeds, tokens`; shares 0..1. The mean is there
    only for an architecture with all three families.
    """
    scores = final_scores(headline_scores(inputs))
    if scores.empty:
        return pd.DataFrame(columns=["architecture", "family", "value", "standard_error", "low", "high", "n", "seeds"])
    by_family = over_benchmarks(scores, ["architecture", "run", "tokens", "family"])
    complete = by_family.groupby("run").family.transform("nunique") == len(FAMILIES)
    overall = over_benchmarks(by_family[complete], ["architecture", "run", "tokens"]).assign(family="mean")
    runs = pd.concat([by_family, overall], ignore_index=True)
    table = over_seeds(runs, ["architecture", "family"])
    return table.merge(scores.groupby("architecture").tokens.max().reset_index(), on="architecture")

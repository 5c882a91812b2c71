"""The second outcome of claims 3 and 4: paired by document and seed, apart from the first, and what it can decide."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.figures.own_data import document_losses
from tests.figures.synthetic import ARCHITECTURES, SyntheticExperiment, drawn_figure
from unix_lib.figures.evidence import FAILS, HOLDS, UNDECIDED, Difference, detectable
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.loss_differences import loss_differences
from unix_lib.figures.outcomes import COLUMNS, draw

SEEDS = (1, 2, 3)


def differences(seeds: tuple[int, ...] = SEEDS, better: float = 0.02) -> dict[tuple[str, str], list]:
    (table,) = document_losses(ARCHITECTURES, seeds, {"unix": better}).values()
    found: dict[tuple[str, str], list] = {}
    for one in loss_differences(table):
        found.setdefault((one.other, one.modality), []).append(one)
    return found


@pytest.mark.parametrize(("better", "verdict"), [(0.02, HOLDS), (-0.02, FAILS)])
def test_pairs_see_what_single_losses_hide(better: float, verdict: str) -> None:
    """Documents differ by 0.5 nats a target; 0.02 between architectures is seen in every pair of them."""
    found = differences(better=better)
    assert set(found) == {(other, modality) for other in ("shared", "mot", "moe 1/2") for modality in ("text", "image")}
    for steps in found.values():
        assert [one.last for one in steps] == [False, True] and [one.step for one in steps] == [200, 400]
        last = steps[-1]
        assert last.verdict == verdict
        assert last.difference.value == pytest.approx(better, abs=0.003)
        assert last.difference.low < better < last.difference.high
        assert last.means[0] - last.means[1] == pytest.approx(last.difference.value)
        assert last.difference.n == (40 if last.modality == "text" else 20) and last.difference.seeds == 3


def test_one_seed_decides_nothing() -> None:
    assert {one.verdict for steps in differences((1,)).values() for one in steps} == {UNDECIDED}


def test_only_what_pairs_is_compared() -> None:
    """Documents that one side was not measured on, seeds that one side lacks, steps that one side has not reached."""
    (table,) = document_losses(ARCHITECTURES, SEEDS).values()
    unix = table.architecture == "unix 2:1"
    some = table[~unix | ((table.seed < 3) & (table.step == 200) & (table.document.astype(int) < 30))]
    (found,) = [one for one in loss_differences(some) if (one.other, one.modality) == ("mot", "text")]
    assert (found.step, found.last, found.difference.n, found.difference.seeds) == (200, True, 30, 2)
    assert not list(loss_differences(table[~unix]))
    assert not list(loss_differences(table[~unix | (table.seed == 9)]))


def test_table_keeps_the_outcomes_apart(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, seeds=SEEDS, prompts=12, steps=(0, 100))
    table = draw(experiment.read_by("outcomes"), drawn_figure("outcomes", "tiny")).table
    assert list(table.columns) == COLUMNS
    assert set(table[table.outcome == "first"].measure) == {"conflict", "mean score"}
    second = table[table.outcome == "second"]
    assert set(second.measure) == {"held-out loss, text", "held-out loss, image"}
    assert set(second[second.claims == "3, 4"].part) == {"Uni-X 2:1 against Shared"}
    assert (second[second.step == 400].verdict == HOLDS).all() and (second[second.step == 200].verdict == "").all()
    assert (second.detectable > 0).all() and (second.detectable < 20).all()


@pytest.mark.parametrize("seeds", [3, 6])
def test_detectable_difference_has_a_power_of_80_percent(seeds: int) -> None:
    """Against simulated t tests whose standard error is 1 on average."""
    freedom = seeds - 1
    bound = stats.t.ppf(0.975, freedom)
    least = detectable(Difference(0.0, -bound, bound, 100, seeds))
    rng = np.random.default_rng(0)
    error = (rng.chisquare(freedom, 20000) / freedom) ** 0.5
    assert np.mean(np.abs(least + rng.normal(size=20000)) > bound * error) == pytest.approx(0.8, abs=0.01)
    assert np.isnan(detectable(Difference(0.0, -1.0, 1.0, 100, 1)))
    assert np.isnan(detectable(Difference(0.0, np.nan, np.nan, 100, 3)))


def test_nothing_measured(tmp_path: Path) -> None:
    table = draw(Inputs(tmp_path, {}), drawn_figure("outcomes", "tiny")).table
    assert isinstance(table, pd.DataFrame) and set(table.outcome) == {"first"} and table.difference.isna().all()

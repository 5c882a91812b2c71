"""What hangs by one request, against means written out with the request left out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment, drawn_figure
from unix_lib.figures import influence
from unix_lib.figures.arms import arms_of
from unix_lib.figures.influence import influences
from unix_lib.figures.make import draw_figure
from unix_lib.figures.samples import final_samples, prompt_values
from unix_lib.figures.score_comparison import compare_scores

ARCHITECTURES = {"shared": "shared", "unix": "unix 2:1", "mot": "mot"}
UNIX = ARCHITECTURES["unix"]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> SyntheticExperiment:
    return SyntheticExperiment(
        tmp_path_factory.mktemp("influence"),
        seeds=(1, 2),
        steps=(200,),
        architectures=ARCHITECTURES,
        skill={"shared": 0.3, "unix": 0.6, "mot": 0.4},
        prompts=40,
    )


@pytest.mark.parametrize("other", ["shared", "mot"])
def test_influence_is_what_leaving_a_request_out_does(experiment: SyntheticExperiment, other: str) -> None:
    """Against the mean of tasks, then of the three families, of which one draws."""
    (arm,) = arms_of(experiment.read_by("influence"))
    samples = final_samples(arm.inputs)
    found = influences(samples, UNIX, other)
    assert (found.value.diff().dropna() <= 1e-12).all()
    values = prompt_values(samples[samples.architecture.isin([UNIX, other])])
    rows = values[values.family == "generation"]

    def mean(kept: pd.DataFrame) -> float:
        known = kept.value / (1 - rows.chance.mean())
        by_side = kept.assign(known=known).groupby(["architecture", "stratum", "prompt"]).known.mean()
        by_task = by_side.groupby(level=["architecture", "stratum"]).mean().groupby(level="architecture").mean()
        return float(100 * (by_task[UNIX] - by_task[other]) / 3)

    assert set(found.text) == {f"a photo of thing {number} left of a blue square" for number in range(40)}
    assert found.n.sum() == len(rows)
    comparison = compare_scores(values, UNIX, other)
    assert comparison is not None
    for row in found.head(3).itertuples():
        assert row.points == pytest.approx(mean(rows[rows.prompt != row.request]) - mean(rows))
        half = 50 * (comparison.difference.high - comparison.difference.low)
        assert row.value == pytest.approx(abs(row.points) / half)


def test_only_what_both_sides_have_is_looked_at(experiment: SyntheticExperiment) -> None:
    """Neither another benchmark of one side, nor a seed, nor a prompt that one of its runs has no answer to."""
    (arm,) = arms_of(experiment.read_by("influence"))
    samples = final_samples(arm.inputs)
    mine = (samples.architecture == UNIX) & (samples.family == "generation")
    lone = samples[mine].assign(benchmark="another")
    unlike = samples.copy()
    unlike.loc[unlike.seed == 2, "value"] = 1 - unlike.loc[unlike.seed == 2, "value"]
    without = samples[(samples.seed == 1) & (samples.architecture != "mot")]
    expected = influences(without, UNIX, "shared")
    assert len(expected) > 1
    alone = unlike[(unlike.seed == 2) & (unlike.architecture == UNIX)]
    pd.testing.assert_frame_equal(influences(pd.concat([without, lone, alone]), UNIX, "shared"), expected)


def test_a_task_that_asks_for_one_thing_goes_with_it(experiment: SyntheticExperiment) -> None:
    """Its wordings are samples of their own, and leaving out what they all ask for leaves out the task."""
    (arm,) = arms_of(experiment.read_by("influence"))
    samples = final_samples(arm.inputs)
    drawn = samples.family == "generation"

    def answer(row: pd.Series) -> str:
        thing = "cube" if row.task == "colors" else row.prompt  # all others ask for what they are called by
        return json.dumps({"include": [{"class": thing, "count": 1, "color": "red"}]})

    samples.loc[drawn, "answer"] = samples[drawn].apply(answer, axis=1)
    found = influences(samples, UNIX, "shared")
    (alone,) = found[found.task == "colors"].itertuples()
    values = prompt_values(samples[samples.architecture.isin([UNIX, "shared"])])
    rows = values[values.family == "generation"]
    assert alone.n == (rows.stratum == "colors").sum()

    def mean(kept: pd.DataFrame) -> float:
        known = kept.assign(known=kept.value / (1 - rows.chance.mean()))
        by_task = known.groupby(["architecture", "stratum"]).known.mean().groupby(level="architecture").mean()
        return float(100 * (by_task[UNIX] - by_task["shared"]) / 3)

    assert alone.points == pytest.approx(mean(rows[rows.stratum != "colors"]) - mean(rows))


def test_a_request_that_carries_too_much_is_named(
    experiment: SyntheticExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def table() -> pd.DataFrame:
        return draw_figure(experiment.read_by("influence"), drawn_figure("influence", "made up")).table

    assert set(table().part) == {"Uni-X 2:1 against Shared", "Uni-X 2:1 against MoT"}
    assert set(table().verdict) == {""}
    least = float(np.sort(table().value)[-2])
    monkeypatch.setattr(influence, "MOST", least)
    assert (table().verdict == "too much").sum() == 1


def test_without_images_of_two_there_is_no_influence(tmp_path: Path) -> None:
    alone = SyntheticExperiment(tmp_path, steps=(200,), architectures={"unix": UNIX}, prompts=6)
    assert draw_figure(alone.read_by("influence"), drawn_figure("influence", "alone")).table.empty

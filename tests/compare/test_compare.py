"""Two made-up experiments side by side: differences that are there are found, what is missing is said."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment
from unix_lib.compare.differences import claim_table, paired_steps, score_differences, table_differences
from unix_lib.compare.pictures import draw_conflict, draw_differences
from unix_lib.compare.settings import settings_table
from unix_lib.compare.side import Side

PAIR = {"shared": "shared", "unix": "unix 2:1"}
ENTROPY = ["source", "modality", "order", "estimate"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`a`, and `b` whose Uni-X has learned more on other prompts' answers, with a longer run."""
    folder = tmp_path_factory.mktemp("results")
    SyntheticExperiment(
        folder / "a", architectures=PAIR, skill={"shared": 0.3, "unix": 0.2}, steps=(0, 200), prompts=96
    )
    SyntheticExperiment(
        folder / "b", architectures=PAIR, skill={"shared": 0.3, "unix": 0.9}, steps=(0, 200, 400), prompts=96
    )
    return folder


def test_scores_of_the_same_samples_are_paired(results: Path) -> None:
    a, b = Side("A", results / "a"), Side("B", results / "b")
    table, notes = score_differences(a, b)
    assert notes == []
    unix = table[(table.architecture == "unix 2:1") & (table.step_a == 200) & (table.step_b == 400)]
    assert set(unix.benchmark) == {"geneval", "pope", "mmbench", "cloze"}
    assert (unix.low > 0).all() and (unix.low < unix.difference).all() and (unix.difference < unix.high).all()
    assert (unix.paired == "samples").all()
    assert ((unix.b - unix.a) - unix.difference).abs().max() < 1e-12
    start = table[table.step_b == 0]
    assert ((start.low <= 0) & (start.high >= 0)).mean() > 0.8  # nothing was learned yet
    assert paired_steps(a.scores.step, b.scores.step) == [(0, 0), (200, 200), (200, 400)]


def test_pairing_is_narrower_than_independence_where_answers_agree(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "a", tmp_path / "c")
    changed = 0
    for scored in list((tmp_path / "c" / "evaluate").glob("unix-step-00200-all-*")):
        path = scored / "samples" / "cloze.parquet"
        samples = pd.read_parquet(path)
        wrong = samples.index[samples.value == 0][:6]
        changed += len(wrong)
        samples.loc[wrong, "value"] = 1.0
        samples.to_parquet(path)
        scores = pd.read_parquet(scored / "scores.parquet")
        scores.loc[(scores.benchmark == "cloze") & (scores.metric == "accuracy"), "value"] = samples.value.mean()
        scores.to_parquet(scored / "scores.parquet")
        scored.rename(scored.with_name(f"unix-step-00200-all-{'f' * 12}"))  # as by another recipe
    assert changed == 6
    table, _ = score_differences(Side("A", results / "a"), Side("B", tmp_path / "c"))
    row = table[(table.architecture == "unix 2:1") & (table.step_a == 200) & (table.benchmark == "cloze")].iloc[0]
    assert row.difference == pytest.approx(6 / 96)
    assert 0 < row.low < row.high < 2 * 6 / 96  # two independent shares of 96 would have +- 0.14
    same = table[table.architecture == "shared"]
    assert (same.paired == "same").all() and (same[["difference", "low", "high"]] == 0).all(axis=None)


def test_what_is_missing_is_said(results: Path, tmp_path: Path) -> None:
    lacking = tmp_path / "lacking"
    shutil.copytree(results / "b", lacking, ignore=shutil.ignore_patterns("evaluate", "summary"))
    a, b = Side("A", results / "a"), Side("B", lacking)
    assert score_differences(a, b)[1] == ["B: no scores"]
    assert table_differences(a, b, "gradient_conflict", ["layer"])[1] == [
        "A: no table gradient_conflict",
        "B: no table gradient_conflict",
    ]
    assert claim_table(a, b)[1] == ["A: no table claims", "B: no table claims"]
    one_less = tmp_path / "less"
    shutil.copytree(results / "b", one_less)
    for path in one_less.glob("evaluate/*-all-*/scores.parquet"):
        scores = pd.read_parquet(path)
        scores[scores.benchmark != "pope"].assign(
            protocol=scores.protocol.where(scores.benchmark != "mmbench", "another")
        ).to_parquet(path)
    table, notes = score_differences(a, Side("B", one_less))
    assert "unix 2:1, pope: only in A" in notes
    assert "unix 2:1, mmbench: another protocol, which does not compare" in notes
    assert set(table.benchmark) == {"geneval", "cloze"}


def test_tables_of_git_alone_are_compared_as_independent(tmp_path: Path) -> None:
    """One side as a clone has it, without artefacts; columns of another version are said."""
    columns = "origin,architecture,projection,layer,value,standard_deviation\n"
    for name, values in (("a", (0.4, 0.1)), ("b", (0.9, 0.1))):
        (tmp_path / name / "summary").mkdir(parents=True)
        row = "measured,shared,mean,1,{},{}\n".format(*values)
        (tmp_path / name / "summary" / "gradient_conflict.csv").write_text(columns + row)
        (tmp_path / name / "summary" / "claims.csv").write_text(
            f"claim,part,verdict,difference\n1,x,{'holds' if name == 'a' else 'undecided'},1\n"
        )
    a, b = Side("A", tmp_path / "a"), Side("B", tmp_path / "b")
    table, notes = table_differences(a, b, "gradient_conflict", ["architecture", "projection", "layer"])
    assert notes == []
    assert table.difference.iloc[0] == pytest.approx(0.5)
    assert table.low.iloc[0] == pytest.approx(0.5 - 1.96 * 0.1 * 2**0.5, abs=1e-3)
    assert claim_table(a, b)[0][["verdict_a", "verdict_b"]].to_numpy().tolist() == [["holds", "undecided"]]
    _, notes = table_differences(a, b, "gradient_conflict", ["layer", "depth"])
    assert notes == ["A: no table gradient_conflict with depth", "B: no table gradient_conflict with depth"]
    assert settings_table(a, b)[1] == [f"{name}: its settings, which stand in its artefacts" for name in "AB"]
    assert draw_conflict(table).figure and draw_differences(table, table, ["architecture"], "conflict").figure


def test_settings_that_differ_come_with_their_jobs(results: Path) -> None:
    table, notes = settings_table(Side("A", results / "a"), Side("B", results / "b"))
    assert notes == []
    only_b = table[(table.stage == "evaluate") & (table.key == "")]
    assert only_b[["a", "b"]].to_numpy().tolist() == [["no", "yes"]]
    assert "step-00400-all" in only_b.jobs.iloc[0]


def test_only_what_is_planned_counts(results: Path) -> None:
    everything = Side("B", results / "b")
    keys = [artefact.split("/")[1] for artefact in everything.artefacts if artefact.startswith("evaluate/shared")]
    planned = {"evaluate": {key[:-13]: key[-12:] for key in keys}}
    assert sorted(Side("B", results / "b", planned).artefacts) == sorted(f"evaluate/{key}" for key in keys)

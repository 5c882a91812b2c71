"""Scores on the benchmarks' own questions: by the first protocol, in the paper's mean, and against published models."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.figures.synthetic import drawn_figure
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.figures import score_table
from unix_lib.figures.architecture_claims import scale_claim
from unix_lib.figures.drawn_table import TextTable
from unix_lib.figures.evidence import FAILS, HOLDS, NOT_MEASURABLE, UNDECIDED
from unix_lib.figures.family_means import PAPER_MEAN, family_means, left_out_notes, mean_cells, shown_means
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.make import draw_figure
from unix_lib.figures.published import TEXT_BENCHMARKS
from unix_lib.figures.samples import SAMPLE_COLUMNS
from unix_lib.figures.scores import measured_scores
from unix_lib.report.gather import left_out_rows

FAMILY = dict.fromkeys(TEXT_BENCHMARKS, "text") | {
    "geneval": "generation",
    "mmbench": "understanding",
    "pope": "understanding",
}
UNIX = "unix 12:6"


def experiment(
    results: Path,
    values: Mapping[str, float],
    *,
    active: float = 3.1e9,
    local: bool = False,
    architecture: str = UNIX,
    chances: Mapping[str, float] | None = None,
) -> Inputs:
    """One run's evaluation, of 1,000 samples a benchmark, also by another protocol; and its checkpoint."""
    origin = {"run": "one", "step": 100, "tokens": 10, "architecture": architecture, "seed": 218}
    interval = {"standard_error": 0.01, "n": 1000, "judge": ""}
    rows = [
        origin
        | interval
        | {"benchmark": name, "metric": metric, "value": value + shift, "low": value + shift - 0.02}
        | {"high": value + shift + 0.02, "protocol": f"{name}, {protocol}", "chance": (chances or {}).get(name)}
        for protocol, shift in (("second", -0.3), ("first", 0.0))
        for name, value in values.items()
        for metric in (["overall" if name == "geneval" else "acc" if name in TEXT_BENCHMARKS else "accuracy"])
    ]
    folder = results / "evaluate" / "one"
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / "scores.parquet")
    described = {
        name: {"family": FAMILY[name], "local": local, "by_task": False, "protocol": f"{name}, first", "judge": ""}
        for name in values
    }
    write_manifest(folder, "0" * 64, {"scores.parquet": len(rows)}, facts={"run": "one", "benchmarks": described})
    checkpoint = results / "train" / "one"
    checkpoint.mkdir(parents=True)
    facts = {"run": "one", "architecture": architecture, "parameters_text": active}
    write_manifest(checkpoint, "1" * 64, {}, facts=facts)
    return Inputs(results, {"evaluations": ["evaluate/one"], "checkpoints": ["train/one"]})


def test_figures_show_the_first_protocol(tmp_path: Path) -> None:
    inputs = experiment(tmp_path, {"mmbench": 0.6, "mmlu": 0.5})
    assert len(pd.read_parquet(tmp_path / "evaluate" / "one" / "scores.parquet")) == 4
    assert measured_scores(inputs).value.tolist() == [0.6, 0.5]


def drawn(inputs: Inputs, table: str) -> pd.DataFrame:
    return draw_figure(inputs, drawn_figure(table, "made up")).table


@pytest.fixture
def without_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_table, "final_samples", lambda inputs: pd.DataFrame(columns=SAMPLE_COLUMNS))


@pytest.mark.usefixtures("without_samples")
def test_what_other_protocols_read_stands_in_rows_of_its_own(tmp_path: Path) -> None:
    inputs = experiment(tmp_path, {"mmbench": 0.6, "geneval": 0.7})
    table = drawn(inputs, "table2_multimodal")
    rows = table[table.origin == "measured"]
    found = {(row.benchmark, row.protocol): row.value for row in rows.itertuples()}
    expected = {("mmbench", "first"): 60.0, ("mmbench", "second"): 30.0}
    expected |= {("geneval", "first"): 70.0, ("geneval", "second"): 40.0}
    assert found == pytest.approx(
        {(name, f"{name}, {protocol}"): value for (name, protocol), value in expected.items()}
    )
    curves = drawn(inputs, "scores_over_tokens")
    assert sorted(curves[curves.benchmark == "mmbench"].protocol) == ["mmbench, first", "mmbench, second"]
    # Means, and what else takes one score of a benchmark, are of the first.
    assert family_means(inputs).set_index("family").value["understanding"] == pytest.approx(60)


@pytest.mark.usefixtures("without_samples")
def test_a_published_score_stands_beside_no_other_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[TextTable] = []
    draw_table = score_table.draw_table
    monkeypatch.setattr(score_table, "draw_table", lambda table: shown.append(table) or draw_table(table))
    drawn(experiment(tmp_path, {"mmbench": 0.6}), "table2_multimodal")
    headings = [section.heading for section in shown[0].sections]
    assert headings == ["published", "measured here", "measured here, by protocol second"]
    assert [section.rows[0][5] for section in shown[0].sections[1:]] == ["60.0 ± 1.0", "30.0 ± 1.0"]
    assert "rows without one are by first. Published scores of questions about images are by paper" in shown[0].notes[1]


def test_the_papers_mean_is_of_its_three_benchmarks(tmp_path: Path) -> None:
    values = {"mmlu": 0.5, "arc_easy": 0.9, "geneval": 0.7, "mmbench": 0.3}
    means = family_means(experiment(tmp_path / "a", values)).set_index("family").value
    assert means[PAPER_MEAN] == pytest.approx(50)
    assert means["mean"] == pytest.approx(100 * (0.7 + 0.7 + 0.3) / 3)
    assert means["text"] == pytest.approx(70)
    table = family_means(experiment(tmp_path / "b", values))
    assert mean_cells(table, UNIX, shown_means(table))[-1].startswith("50.0")
    without = family_means(experiment(tmp_path / "c", {name: values[name] for name in ("mmlu", "mmbench")}))
    assert PAPER_MEAN not in shown_means(without)
    own = family_means(experiment(tmp_path / "d", values, local=True))
    assert PAPER_MEAN not in shown_means(own)  # questions of one's own are others


@pytest.mark.parametrize(("pope", "left_out"), [(0.51, True), (0.49, True), (0.53, False)])
def test_what_no_run_is_told_from_chance_on_is_in_no_mean(tmp_path: Path, pope: float, left_out: bool) -> None:
    chances = {"pope": 0.5, "mmbench": 0.25}
    inputs = experiment(tmp_path, {"pope": pope, "mmbench": 0.4}, chances=chances)
    value = family_means(inputs).set_index("family").value["understanding"]
    assert value == pytest.approx(40 if left_out else 100 * (pope + 0.4) / 2)
    assert [row["benchmark"] for row in left_out_rows(inputs)] == ["pope"] * left_out
    notes = left_out_notes(inputs)
    assert [f"pope ({100 * pope:.0f} to {100 * pope:.0f}, chance 50)" in note for note in notes] == [True] * left_out


def test_a_family_at_chance_keeps_its_mean(tmp_path: Path) -> None:
    inputs = experiment(tmp_path, {"pope": 0.5, "mmbench": 0.25}, chances={"pope": 0.5, "mmbench": 0.25})
    assert family_means(inputs).set_index("family").value["understanding"] == pytest.approx(37.5)
    assert left_out_rows(inputs) == [] == left_out_notes(inputs)


@pytest.mark.parametrize(("geneval", "verdict"), [(0.85, HOLDS), (0.81, UNDECIDED), (0.5, FAILS)])
def test_claim_7_holds_geneval_against_the_best_published_7b_model(
    tmp_path: Path, geneval: float, verdict: str
) -> None:
    (finding,) = scale_claim(experiment(tmp_path, {"geneval": geneval, "mmlu": 0.5}))
    assert (finding.part, finding.published) == ("GenEval", "82 against 80 on GenEval")
    assert finding.verdict == verdict
    assert finding.difference is not None and finding.difference.value == pytest.approx(100 * geneval - 80)
    assert finding.measured == f"{100 * geneval:.1f}, 3.1B active"


def test_claim_7_holds_the_mean_of_all_text_benchmarks_against_table_1(tmp_path: Path) -> None:
    values = dict.fromkeys(TEXT_BENCHMARKS, 0.69)
    (finding,) = scale_claim(experiment(tmp_path, values))
    assert (finding.part, finding.published) == ("mean of Table 1", "67.1 against 66.9 on mean of Table 1")
    assert finding.difference is not None
    assert finding.difference.value == pytest.approx(2.1)
    assert finding.difference.high - finding.difference.low == pytest.approx(2 * 2 / 5**0.5)  # the scores' own
    assert finding.verdict == HOLDS


def test_claim_7_is_about_3b_parameters_and_the_benchmarks_own_questions(tmp_path: Path) -> None:
    (small,) = scale_claim(experiment(tmp_path / "small", {"geneval": 0.9}, active=1.5e9))
    assert small.verdict == NOT_MEASURABLE and small.difference is not None
    for name, changes in (("own", {"local": True}), ("mot", {"architecture": "mot"})):
        (finding,) = scale_claim(experiment(tmp_path / name, {"geneval": 0.9}, **changes))  # type: ignore[arg-type]
        assert finding.verdict == NOT_MEASURABLE and finding.difference is None
        assert "needs GenEval's own prompts" in finding.reason

"""Every figure on a made-up experiment: files, columns, stable bytes, and what it says when inputs are missing."""

import itertools
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment, drawn_figure, planned_job
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import ArtefactError, read_manifest
from unix_lib.config.figures import FigureSettings
from unix_lib.evaluate.intervals import wilson
from unix_lib.figures.family_means import mean_cells
from unix_lib.figures.gradient_conflict import PRECISE, drawn, measured_conflict, paper_curve, summarize
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.kinds import KINDS
from unix_lib.figures.loss_curves import STRETCHES, in_stretches, smoothed
from unix_lib.figures.make import draw_existing, draw_figure, make_figure
from unix_lib.figures.style import Drawing, architecture_colors, missing_note, ordered_architectures

SCALE = "a made-up experiment"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> SyntheticExperiment:
    return SyntheticExperiment(tmp_path_factory.mktemp("results"))


def draw(experiment: SyntheticExperiment, figure: str) -> Drawing:
    return draw_figure(experiment.read_by(figure), drawn_figure(figure, SCALE))


@pytest.mark.parametrize("figure", KINDS)
def test_job_writes_stable_files(experiment: SyntheticExperiment, figure: str, tmp_path: Path) -> None:
    recipe = experiment.figure_recipe(figure, SCALE)
    folder = experiment.results / recipe.artefact
    manifest = make_figure(planned_job(recipe, experiment.results))
    assert {entry.path for entry in manifest.files} >= {f"{figure}.{form}" for form in ("csv", "png", "pdf", "svg")}
    table = pd.read_csv(folder / f"{figure}.csv")
    assert len(table) == next(entry.rows for entry in manifest.files if entry.path.endswith("csv"))
    assert len(table) > 0
    # A second time, elsewhere: the same bytes.
    again = draw_existing(drawn_figure(figure, SCALE), experiment.read_by(figure), tmp_path / "again")
    for path in again:
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
    assert read_manifest(folder).digest == manifest.digest


@pytest.mark.parametrize("figure", [name for name in KINDS if name not in ("claims", "outcomes")])
def test_csv_says_origin_and_n(experiment: SyntheticExperiment, figure: str) -> None:
    table = draw(experiment, figure).table
    assert set(table.origin) <= {"published", "measured"}
    assert "measured" in set(table.origin)
    assert (table[table.origin == "measured"].n > 0).all()


@pytest.mark.parametrize("figure", KINDS)
def test_nothing_exists_yet(figure: str, tmp_path: Path) -> None:
    """A preview before anything ran draws what is published and says what it waits for."""
    missing = [f"evaluate/{role}-step-00100-abcdefabcdef" for role in KINDS[figure].reads]
    inputs = Inputs(tmp_path / "results", {}, missing)
    files = draw_existing(drawn_figure(figure, SCALE), inputs, tmp_path / "out")
    assert sorted(path.suffix for path in files) == [".csv", ".pdf", ".png", ".svg"]
    table = pd.read_csv(tmp_path / "out" / f"{figure}.csv")
    assert "measured" not in set(table.get("origin", []))


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> SyntheticExperiment:
    """One training step and a single prompt."""
    return SyntheticExperiment(tmp_path_factory.mktemp("early"), steps=(0, 1), prompts=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("figure", KINDS)
def test_any_part_of_its_inputs_can_be_drawn(early: SyntheticExperiment, figure: str) -> None:
    """As a run makes them, in whatever order: each artefact alone, each set of roles, and any others."""
    every = [(role, artefact) for role, artefacts in early.roles(figure).items() for artefact in artefacts]
    parts = [[one] for one in every]
    roles = list(early.roles(figure))
    for count in range(1, len(roles) + 1):
        parts += [[one for one in every if one[0] in chosen] for chosen in itertools.combinations(roles, count)]
    chance = random.Random(figure)
    parts += [chance.sample(every, chance.randint(1, len(every))) for _ in range(3)]
    for part in parts:
        existing = {role: [artefact for of, artefact in part if of == role] for role, _ in part}
        drawing = draw_figure(Inputs(early.results, existing), drawn_figure(figure, SCALE))
        plt.close(drawing.figure)


def test_missing_note_names_runs_and_counts_the_rest() -> None:
    missing = [f"evaluate/run{i}-step-00100-all-0123456789ab" for i in range(9)]
    note = missing_note(missing)
    assert "run0-step-00100-all," in note
    assert "and 3 more" in note
    assert missing_note([]) == ""


def test_preview_with_one_run_missing_differs_and_says_so(experiment: SyntheticExperiment, tmp_path: Path) -> None:
    evaluations = experiment.inputs["evaluations"]
    existing = {"evaluations": [a for a in evaluations if "mot" not in a], "ceilings": []}
    missing = [a for a in evaluations if "mot" in a]
    assert missing
    inputs = Inputs(experiment.results, existing, missing)
    draw_existing(drawn_figure("scores_over_tokens", SCALE), inputs, tmp_path)
    table = pd.read_csv(tmp_path / "scores_over_tokens.csv")
    assert set(table.architecture) == {"shared", "unix 2:1", "moe 1/2"}


def test_pdf_carries_scale_and_missing_runs(experiment: SyntheticExperiment) -> None:
    from unix_lib.figures.style import _footer

    drawing = draw(experiment, "loss_curves")
    _footer(drawing.figure, [f"Scale: {SCALE}.", missing_note(["train/mot-step-00400-0123456789ab"])])
    texts = " ".join(text.get_text() for text in drawing.figure.texts)
    assert SCALE in texts
    assert "mot-step-00400" in texts


def test_damaged_input_is_refused(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6)
    table = tmp_path / experiment.inputs["entropy"][0] / "entropy.parquet"
    table.write_bytes(table.read_bytes()[:-5])
    with pytest.raises(ArtefactError, match=r"entropy\.parquet"):
        draw_existing(drawn_figure("conditional_entropy", SCALE), experiment.read_by("conditional_entropy"), tmp_path)


def test_unknown_figure_is_refused(tmp_path: Path) -> None:
    unknown = drawn_figure("claims", SCALE).model_copy(update={"figure": FigureSettings(kind="table9")})
    with pytest.raises(UserError, match="unknown figure kind 'table9'"):
        draw_figure(Inputs(tmp_path, {}), unknown)


def test_colors_are_the_same_in_every_figure() -> None:
    names = ordered_architectures(pd.Series(["moe 1/2", "unix 9:5", "shared", "unix 10:5", "mot", "unix 9:5"]))
    assert names == ["shared", "unix 9:5", "unix 10:5", "mot", "moe 1/2"]
    colors = architecture_colors(names)
    assert len(set(colors.values())) == 5
    assert architecture_colors(["shared", "mot"])["mot"] == colors["mot"]


def test_scores_table_keeps_values(experiment: SyntheticExperiment) -> None:
    """A number in the figure is the number in the evaluation's table."""
    inputs = experiment.read_by("scores_over_tokens")
    table = draw(experiment, "scores_over_tokens").table
    scores = inputs.table("evaluations", "scores.parquet")
    one = scores[(scores.architecture == "mot") & (scores.step == 400) & (scores.benchmark == "pope")]
    one = one[one.metric == "accuracy"].iloc[0]
    drawn = table[(table.architecture == "mot") & (table.step == 400) & (table.benchmark == "pope")].iloc[0]
    assert (drawn.value, drawn.low, drawn.high, drawn.n) == (one.value, one.low, one.high, one.n)
    assert set(table[table.benchmark == "geneval"].ceiling) == {0.9}


def test_conflict_table_counts_documents_and_corrects(experiment: SyntheticExperiment) -> None:
    """The made-up gradients are half noise, so the corrected conflict is twice the paper's in every row."""
    table = draw(experiment, "gradient_conflict").table
    assert set(table.n) == {64}
    assert set(table["values"]) == {20}  # ten splits of two checkpoints
    assert table.corrected.to_numpy() == pytest.approx(2 * table.value.to_numpy())
    assert set(table[table.architecture == "unix 2:1"].layer) == {3, 4, 5}
    assert set(table[(table.architecture == "moe 1/2") & (table.projection == "mean")].layer) == {1, 3, 5}


def test_conflict_of_many_checkpoints_with_its_precision(tmp_path: Path) -> None:
    """Three checkpoints have a spread, the paper's curve; leave-one-out means give intervals over documents."""
    many = SyntheticExperiment(tmp_path, steps=(0, 100, 200, 300), prompts=1)
    conflict = measured_conflict(many.read_by("gradient_conflict"))
    curve = paper_curve(conflict).set_index(["architecture", "projection", "layer"])
    of_steps = conflict[(conflict.architecture == "shared") & (conflict.layer == 1) & (conflict.projection == "o_proj")]
    of_steps = of_steps.groupby("step").conflict.mean()
    row = curve.loc["shared", "o_proj", 2]
    assert (row.value, row.standard_deviation) == pytest.approx((of_steps.mean(), of_steps.std()))
    assert paper_curve(conflict[conflict.step > 100]).empty
    plain = drawn(conflict, pd.DataFrame())
    assert len(plain.figure.axes) == 12 and "corrected_low" not in plain.table

    rng = np.random.default_rng(0)
    cells = conflict[conflict.shared][["architecture", "layer", "projection", "step"]].drop_duplicates()
    parts = [cells.assign(left_out=left_out, part="") for left_out in range(-1, 16)]
    precision = pd.concat(parts, ignore_index=True)
    for name, level in (("s_inter", 0.05), ("s_text", 0.2), ("s_image", 0.2)):
        precision[name] = level * rng.normal(1, 0.05, len(precision))
    table = drawn(conflict, precision).table
    assert list(table.columns) == [*plain.table.columns, *PRECISE]
    assert ((table.corrected_low < table.corrected) & (table.corrected < table.corrected_high)).all()
    assert table.corrected.mean() == pytest.approx(0.75, abs=0.05)


def test_conflict_too_noisy_to_tell_is_a_gap(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6, steps=(0, 100))
    inputs = experiment.read_by("gradient_conflict")
    conflict = inputs.table("conflict", "conflict.parquet").assign(documents=64)
    conflict.loc[conflict.layer == 3, "s_image"] = -0.01
    table = summarize(conflict)
    assert set(table[table.corrected.isna()].layer) == {4}
    assert table.value.notna().all()


def test_spectra_stand_in_the_order_of_their_numbers(experiment: SyntheticExperiment) -> None:
    """Photographs last; exponents are those that were made up."""
    table = draw(experiment, "power_spectrum").table
    shown = table.drop_duplicates("source")[["source", "exponent"]].round(6).values.tolist()
    assert shown == [["leaves-30", -3.0], ["leaves-100", -2.0], ["china", -2.5]]


def test_second_hand_numbers_keep_their_mark(experiment: SyntheticExperiment) -> None:
    table = draw(experiment, "table1_text").table
    published = table[table.origin == "published"].groupby("model").certainty.unique()
    assert list(published["Janus-Pro-7B"]) == ["second-hand"]
    assert list(published["Uni-X-3B"]) == ["quoted"]


@pytest.mark.parametrize("figure", KINDS)
def test_values_that_are_all_alike_are_no_certainty(alike: SyntheticExperiment, figure: str) -> None:
    """All right, all wrong, all speeds, cosines and entropies the same: no interval without width, no error of 0."""
    drawing = draw(alike, figure)
    table = drawing.table
    if {"low", "high"} <= set(table.columns):
        assert not (table.low == table.high).any()
    if "standard_error" in table.columns:
        assert not (table.standard_error == 0).any()
    texts = [text.get_text() for axes in drawing.figure.axes for text in axes.texts]
    assert not [text for text in texts if re.search(r"± ?0(\.0*)?$|\[([^,]+), \2\]", text)]


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> SyntheticExperiment:
    """Two seeds, 20 prompts: one architecture right in everything, the others wrong; nothing else varies either."""
    skill = {"unix": 1.0}
    blind = {"shared": "unreadable", "mot": "unreadable", "moe": "unreadable"}
    made = SyntheticExperiment(tmp_path_factory.mktemp("alike"), seeds=(1, 2), prompts=20, skill=skill, blind=blind)
    for artefact in [name for names in made.inputs.values() for name in names]:
        for path in (made.results / artefact).rglob("*.parquet"):
            table = pd.read_parquet(path)
            if path.name == "entropy.parquet":
                table = table.assign(plug_in_standard_error=0.0, corrected_standard_error=0.0)
            elif path.name == "conflict.parquet":
                cosines = {"conflict": 0.1, "s_inter": 0.4, "s_base": 0.5, "s_text": 0.4, "s_image": 0.625}
                table = table.assign(**{name: table[name].where(table[name].isna(), cosines[name]) for name in cosines})
            elif path.name == "speed.parquet":
                table["tokens_per_second"] = 9000.0
            elif path.name == "scores.parquet":  # what an evaluation gives: Wilson's interval around an error of 0
                bounds = [wilson(value * n, n) for value, n in zip(table.value, table.n, strict=True)]
                table = table.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])
            table.to_parquet(path)
    scores = made.read_by("scores_over_tokens").table("evaluations", "scores.parquet")
    final = scores[(scores.step == 400) & (scores.metric != "overall_shuffled")]
    assert set(final.value) == {0.0, 1.0} and set(final.standard_error) == {0.0}
    return made


@pytest.mark.parametrize(("error", "shown"), [(1.26, "41.0 ± 1.3"), (0.0321, "41.0 ± 0.03"), (float("nan"), "41.0")])
def test_a_cell_says_no_error_that_is_not_known(error: float, shown: str) -> None:
    table = pd.DataFrame({"architecture": ["shared"], "family": ["text"], "value": [41.0], "standard_error": [error]})
    assert mean_cells(table, "shared", ["text"])[0] == shown


def test_seeds_are_averaged_with_a_wider_interval(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=12)
    table = draw(experiment, "table3_architectures").table
    measured = table[table.origin == "measured"]
    assert set(measured.seeds) == {3}
    assert set(measured.family) == {"text", "generation", "understanding", "mean"}
    assert measured.standard_error.gt(0).all()


def test_figures_import_no_torch() -> None:
    code = (
        "import sys, json, importlib\n"
        f"for name in {list(KINDS)!r}: importlib.import_module('unix_lib.figures.' + name)\n"
        "import unix_lib.figures.make, unix_lib.report.make\n"
        "print(json.dumps([m for m in ('torch', 'transformers', 'sklearn') if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []


@pytest.mark.parametrize("steps", [1, STRETCHES, STRETCHES + 1, 10 * STRETCHES + 7])
def test_long_runs_are_joined_to_stretches_without_losing_a_target(steps: int) -> None:
    random = np.random.default_rng(steps)
    losses = pd.DataFrame(
        {
            "step": np.arange(1, steps + 1),
            "tokens": np.arange(1, steps + 1) * 512,
            "value": random.normal(3, 1, steps),
            "n": random.integers(1, 500, steps),
        }
    )
    joined = in_stretches(losses)
    assert len(joined) <= STRETCHES and (steps > STRETCHES or len(joined) == steps)
    assert joined.n.sum() == losses.n.sum() and joined.steps.sum() == steps
    begin = 0
    for row in joined.itertuples():
        part = losses[begin : begin + row.steps]
        begin += row.steps
        assert (row.step, row.tokens) == (part.step.iloc[-1], part.tokens.iloc[-1])
        assert row.value == pytest.approx(np.average(part.value, weights=part.n))
        variance = np.average((part.value - row.value) ** 2, weights=part.n)
        assert np.isnan(row.spread) if row.steps == 1 else row.spread == pytest.approx(variance**0.5)


def test_loss_is_smoothed_over_targets_not_steps() -> None:
    """Every other step has 10 easy targets beside 1,000 hard ones: the mean over targets stays near the hard ones."""
    train = pd.DataFrame({"value": [1.0, 5.0] * 100, "n": [10, 1000] * 100})
    expected = (10 * 1.0 + 1000 * 5.0) / 1010
    assert smoothed(train).iloc[20:180].to_numpy() == pytest.approx(expected, rel=0.01)

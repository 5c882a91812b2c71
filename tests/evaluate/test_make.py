"""Whole scoring jobs on a random checkpoint's answers: tables, determinism, what is set aside, and refusals."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import BENCHMARKS, SmallEvaluation, SmallExperiment, finished, made_by_a_test
from tests.jobs.making import make_job
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import MANIFEST, open_artefact, read_manifest, write_manifest
from unix_lib.benchmarks.cloze import read_cloze
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.config.evaluate import EvaluateConfig
from unix_lib.evaluate import fitness
from unix_lib.evaluate.fitness import UnfitDetectorError
from unix_lib.evaluate.scene_files import read_scenes
from unix_lib.evaluate.tables import SAMPLES, SCORES, VERDICTS
from unix_lib.jobs.job import Job
from unix_lib.recipes.workspace import execution_path
from unix_lib.sources.shapes.textures import Texture

ALL = tuple(BENCHMARKS)
WITHOUT_TORCH = """
import sys
from pathlib import Path
from unix_lib.jobs.job import Job
Job.from_files(*(Path(path) for path in sys.argv[1:])).make()
heavy = {"torch", "transformers"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def table(job: Job[Any, Any], name: str) -> pa.Table:
    return pq.read_table(job.folder / name)


def with_files(evaluation: SmallEvaluation, name: str, file: str, rows: list[dict[str, Any]]) -> None:
    """Replace a table of a benchmark's answers, and the manifest that knows it."""
    folder = evaluation.members[name].folder
    before = read_manifest(folder)
    schema = pq.read_schema(folder / file)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / file)
    files: dict[str, int | None] = {entry.path: entry.rows for entry in before.files}
    assert write_manifest(folder, before.recipe, files, facts=before.facts).digest != before.digest


def test_an_evaluation_writes_the_tables_of_the_contract(small: SmallExperiment) -> None:
    job = small.evaluation(*ALL).make()
    manifest = open_artefact(job.folder)
    names = {entry.path for entry in manifest.files}
    assert names == {"recipe.json", "scores.parquet", "verdicts.parquet", "rejected.parquet"} | {
        f"samples/{n}.parquet" for n in ALL
    }
    scores = table(job, "scores.parquet")
    assert scores.schema.equals(SCORES)
    rows = {(row["benchmark"], row["metric"]): row for row in scores.to_pylist()}
    assert {benchmark for benchmark, _ in rows} == set(ALL)
    for row in rows.values():
        assert (row["run"], row["step"], row["architecture"], row["seed"]) == ("tiny", 0, "shared", 7)
        if row["value"] is not None:
            assert row["low"] <= row["value"] <= row["high"]
            assert row["n"] > 0
    assert rows["geneval", "overall"]["n"] == 6 * 3 * 2
    assert rows["cloze", "acc"]["chance"] == 0.25
    for name in ALL:
        samples = table(job, f"samples/{name}.parquet")
        assert samples.schema.equals(SAMPLES)
        assert len(set(samples["sample_id"].to_pylist())) == samples.num_rows
    verdicts = table(job, "verdicts.parquet")
    assert verdicts.schema.equals(VERDICTS)
    assert verdicts.num_rows == 36
    assert manifest.facts["scores"]["pope/accuracy"] == rows["pope", "accuracy"]["value"]


def test_facts_say_what_each_benchmark_is(small: SmallExperiment) -> None:
    job = small.evaluation(*ALL).make()
    benchmarks = read_manifest(job.folder).facts["benchmarks"]
    assert benchmarks["geneval"] == {
        "family": "generation",
        "local": True,
        "by_task": True,
        "protocol": "geneval, 2 images a prompt",
        "judge": "scene_detector 1",
    }
    assert {name: of["family"] for name, of in benchmarks.items()} == {
        "geneval": "generation",
        "dpg": "generation",
        "pope": "understanding",
        "mme": "understanding",
        "mmbench": "understanding",
        "cloze": "text",
    }
    assert all(not of["judge"] for name, of in benchmarks.items() if name not in ("geneval", "dpg"))
    for row in table(job, "scores.parquet").to_pylist():
        of = benchmarks[row["benchmark"]]
        assert (row["protocol"], row["judge"]) == (of["protocol"], of["judge"])


def test_the_same_job_twice_gives_the_same_content(small: SmallExperiment) -> None:
    names = ("geneval", "pope", "cloze")
    first = read_manifest(small.evaluation(*names, group="twice").make().folder)
    small.forget()
    small.forget("evaluate")
    second = read_manifest(small.evaluation(*names, group="twice").make().folder)
    assert first.digest == second.digest


def test_scoring_needs_no_torch(small: SmallExperiment) -> None:
    evaluation = small.evaluation(*ALL, group="light")
    evaluation.answer()
    recipe = evaluation.scores.recipe.path(small.results)
    paths = (recipe, execution_path(recipe), evaluation.scores.folder / MANIFEST)
    finished_process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert finished_process.returncode == 0, finished_process.stderr
    open_artefact(evaluation.scores.folder)


def test_an_unreadable_image_is_set_aside_and_counted(small: SmallExperiment) -> None:
    broken, sample_id = small.with_half_an_image("broken", "broken row")
    job = small.evaluation("pope", group="broken", sources={"shapes": broken}).make()
    manifest = read_manifest(job.folder)
    assert manifest.rejected["malformed row"] == 1
    assert sum(manifest.rejected.values()) >= 2
    rejected = table(job, "rejected.parquet").to_pylist()
    assert {"broken row", sample_id} <= {row["sample_id"] for row in rejected}
    assert table(job, "samples/pope.parquet").num_rows + len(rejected) == 13


def test_control_values_come_from_the_same_images(small: SmallExperiment) -> None:
    job = small.evaluation("geneval", group="control").make()
    verdicts = table(job, "verdicts.parquet").to_pandas()
    rows = {row["metric"]: row for row in table(job, "scores.parquet").to_pylist()}
    shuffled = verdicts.dropna(subset="shuffled_value").groupby("task")["shuffled_value"].mean().mean()
    assert rows["overall_shuffled"]["value"] == pytest.approx(shuffled)
    assert rows["overall"]["value"] == pytest.approx(verdicts.groupby("task")["value"].mean().mean())


def test_cloze_answers_are_those_of_the_highest_likelihood(small: SmallExperiment) -> None:
    evaluation = small.evaluation("cloze", group="cloze")
    job = evaluation.make()
    likelihoods = np.array(
        table(evaluation.members["cloze"], "likelihoods.parquet")["log_likelihood"].to_pylist()
    ).reshape(12, 4)
    questions, _ = read_cloze(small.results / small.prose / "benchmarks" / "cloze.jsonl")
    samples = table(job, "samples/cloze.parquet").to_pylist()
    for row, sample, of_choices in zip(questions, samples, likelihoods, strict=True):
        assert sample["prediction"] == row["choices"][int(of_choices.argmax())]
        assert sample["answer"] == row["choices"][row["answer"]]
        assert sample["value"] == float(sample["prediction"] == sample["answer"])


def test_a_source_that_made_no_questions_has_no_scores_and_stops_nothing(small: SmallExperiment) -> None:
    source = _cloze_of(small, "wordless", [])
    job = small.evaluation("pope", "cloze", group="wordless", sources={"prose": source}).make()
    scores = [row for row in table(job, "scores.parquet").to_pylist() if row["benchmark"] == "cloze"]
    assert scores and all(row["value"] is None and row["n"] == 0 for row in scores)
    assert table(job, "samples/cloze.parquet").num_rows == 0 < table(job, "samples/pope.parquet").num_rows


def test_choices_without_a_space_before_them_are_asked_as_they_stand(small: SmallExperiment) -> None:
    chinese = {"question": "我们的中国人", "choices": ["民很", "天上", "水下", "山中"], "answer": 0, "delimiter": ""}
    english = {"question": "we went to the", "choices": ["sea", "tea", "pea", "bee"], "answer": 0}
    evaluation = small.evaluation(
        "cloze", group="both", sources={"prose": _cloze_of(small, "both", [chinese, english])}
    )
    job = evaluation.make()
    asked = [row["continuation"] for row in table(evaluation.members["cloze"], "likelihoods.parquet").to_pylist()]
    assert sorted(asked) == sorted([*chinese["choices"], *(f" {choice}" for choice in english["choices"])])
    assert {row["answer"] for row in table(job, "samples/cloze.parquet").to_pylist()} == {"民很", "sea"}


def _cloze_of(small: SmallExperiment, name: str, questions: list[dict[str, Any]]) -> str:
    """An artefact of a source's benchmarks with these questions."""
    artefact = small.results / made_by_a_test("sources", f"{name}-benchmarks").artefact
    lines = "".join(json.dumps(question, ensure_ascii=False) + "\n" for question in questions)
    write_text(artefact / "benchmarks" / "cloze.jsonl", lines)
    return finished(small.results, "sources", f"{name}-benchmarks").artefact


def test_a_request_that_was_never_answered_is_named(small: SmallExperiment) -> None:
    evaluation = small.evaluation("cloze", group="lost", limit=6)
    evaluation.group.make()
    rows = table(evaluation.members["cloze"], "likelihoods.parquet").to_pylist()
    assert len(rows) == 24
    with_files(evaluation, "cloze", "likelihoods.parquet", rows[:-1])
    with pytest.raises(BenchmarkError, match=r"no answer to .* so lm-eval or its data changed since; delete .* again"):
        evaluation.scores.make()
    small.forget()


def test_the_data_must_be_those_that_were_answered(small: SmallExperiment) -> None:
    evaluation = small.evaluation("cloze", group="data")
    evaluation.group.make()
    folder = evaluation.members["cloze"].folder
    before = read_manifest(folder)
    files: dict[str, int | None] = {entry.path: entry.rows for entry in before.files}
    write_manifest(folder, before.recipe, files, facts=before.facts | {"data_sets": ["allenai/ai2_arc@0123"]})
    with pytest.raises(BenchmarkError, match="answers are to allenai/ai2_arc@0123"):
        evaluation.scores.make()
    small.forget()


@pytest.mark.parametrize(("name", "file"), [("pope", "answers.parquet"), ("geneval", "images.parquet")])
def test_answers_to_something_else_are_refused(small: SmallExperiment, name: str, file: str) -> None:
    evaluation = small.evaluation(name, group="else")
    evaluation.group.make()
    rows = table(evaluation.members[name], file).to_pylist()
    key = "prompt" if name == "geneval" else "sample_id"
    rows[3][key] += " not"
    with_files(evaluation, name, file, rows)
    with pytest.raises(BenchmarkError, match=r"(not the answers to|images of other prompts).* run again"):
        evaluation.scores.make()
    small.forget()


def test_the_scene_detector_judges_no_real_photos(small: SmallExperiment, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give exactly one of 'source', 'file'"):
        EvaluateConfig.model_validate({"benchmarks": {"geneval": {"scorer": "geneval"}}, "groups": {"a": ["geneval"]}})
    path = tmp_path / "geneval.jsonl"
    path.write_bytes((small.results / small.shapes / "benchmarks" / "geneval.jsonl").read_bytes())
    evaluation = small.evaluation("geneval", group="photos", source=None, file=str(path), limit=2)
    evaluation.group.make()
    with pytest.raises(BenchmarkError, match="GenEval's own prompts need a judge of real objects"):
        evaluation.scores.make()


def test_a_source_without_the_benchmark_is_named(small: SmallExperiment) -> None:
    evaluation = small.evaluation("pope", group="missing")
    evaluation.group.make()
    evaluation.scores.recipe.inputs["benchmark:pope"] = small.prose
    with pytest.raises(BenchmarkError, match=r"evaluate\.benchmarks\.pope: prose-benchmarks-\w+ makes no pope\.tsv"):
        evaluation.scores.make()


def test_a_fetched_file_that_was_changed_is_refused(small: SmallExperiment, tmp_path: Path) -> None:
    path = tmp_path / "pope.tsv"
    path.write_bytes((small.results / small.shapes / "benchmarks" / "pope.tsv").read_bytes())
    evaluation = small.evaluation("pope", group="file", file=str(path), source=None, limit=4)
    job = evaluation.make()
    assert table(job, "samples/pope.parquet").num_rows == 4
    assert not read_manifest(job.folder).facts["benchmarks"]["pope"]["local"]
    path.write_text(path.read_text() + "\n")
    (job.folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="changed after the plan was made"):
        evaluation.scores.make()
    path.unlink()
    with pytest.raises(BenchmarkError, match="is missing; `unix-lib fetch"):
        small.evaluation("pope", group="file", file=str(path), source=None, limit=4).group.make()


def test_a_detector_that_is_not_fit_is_refused_by_the_ceiling(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained, with its accuracy."""
    flat = fitness.render_pixels
    leaves = Texture(strength=0.6, seed=1)
    monkeypatch.setattr(fitness, "render_pixels", lambda scene, size: flat(replace(scene, texture=leaves), size))
    with pytest.raises(UnfitDetectorError, match=r"read \d+\.\d% of 24 rendered .* with textured: true"):
        small.evaluation("geneval").ceiling("geneval").make()


def test_a_ceiling_measures_the_detector_before_and_after_the_tokenizer(small: SmallExperiment) -> None:
    job = small.evaluation("geneval").ceiling("geneval")
    manifest = job.make()
    rows = {row["metric"]: row for row in table(job, "scores.parquet").to_pylist()}
    assert manifest.facts["fit_to_judge"] is True
    assert rows["detector_accuracy"]["value"] == 1.0
    assert rows["detector_accuracy"]["low"] > 0.8
    assert rows["overall_rendered"]["value"] == 1.0  # scenes satisfy their prompts, and the detector sees it
    # A tokenizer with random weights leaves nothing of an image.
    assert rows["detector_accuracy_reconstructed"]["value"] == 0.0
    assert rows["overall_ceiling"]["value"] < 0.2
    assert (rows["overall_ceiling"]["run"], rows["overall_ceiling"]["step"]) == ("", -1)
    assert rows["overall_ceiling"]["n"] == 18 * 4
    assert {(row["protocol"], row["judge"]) for row in rows.values()} == {
        ("geneval, 4 images a prompt", "scene_detector 1")
    }


def test_names_decide_nothing(small: SmallExperiment) -> None:
    """A run may be called as a ceiling is, and a ceiling may be called anything."""
    evaluation = small.evaluation("pope", group="names")
    evaluation.group.make()
    recipe = evaluation.scores.recipe
    settings = evaluation.scores.settings.model_copy(update={"run": "ceiling-b"})
    job = make_job(small.results, "evaluate", "ceiling-b-step-00000-all", "scores", settings, recipe.inputs)
    assert job.make().facts["run"] == "ceiling-b"
    other = small.evaluation("geneval").ceiling("geneval", called="what-perfect-images-get")
    assert other.make().facts["fit_to_judge"] is True


def test_scenes_must_go_with_their_prompts(tmp_path: Path) -> None:
    (tmp_path / "scenes.jsonl").write_text(json.dumps([{"objects": []}]) + "\n")
    with pytest.raises(BenchmarkError, match="1 lines for 2 prompts"):
        read_scenes(tmp_path / "scenes.jsonl", lines=2)
    (tmp_path / "scenes.jsonl").write_text(json.dumps([{"objects": []}]) + "\n{}\n")
    with pytest.raises(BenchmarkError, match=r"scenes\.jsonl:2: neither a scene nor a list of scenes"):
        read_scenes(tmp_path / "scenes.jsonl", lines=2)

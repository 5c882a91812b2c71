"""Whole evaluation jobs on a random checkpoint: files, reuse, resume, determinism, and refusals."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluate.conftest import finished
from tests.pack.experiment import make_job
from tests.sources.test_image_folder import png_that_claims
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import open_artefact
from unix_lib.config.evaluate import Benchmark
from unix_lib.evaluate import generation, questions, text
from unix_lib.evaluate.benchmark import BenchmarkError
from unix_lib.evaluate.ceiling import read_scenes
from unix_lib.evaluate.generation import image_seed, read_prompts
from unix_lib.evaluate.geneval import GenEvalError
from unix_lib.evaluate.make import make_evaluation
from unix_lib.evaluate.tables import IMAGES, SAMPLES, SCORES
from unix_lib.images.files import BadImage

ALL = ("geneval", "pope", "mme", "mmbench", "cloze")


def forget(small):
    shutil.rmtree(small.results / "work" / "evaluate", ignore_errors=True)


def table(job, name):
    return pq.read_table(job.folder / name)


def test_an_evaluation_writes_the_tables_of_the_contract(small):
    job = small.evaluation(*ALL)
    manifest = make_evaluation(job)
    assert open_artefact(job.folder) == manifest
    names = {entry.path for entry in manifest.files}
    assert names == {"recipe.json", "scores.parquet", "images.parquet", "rejected.parquet"} | {
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
    images = table(job, "images.parquet")
    assert images.schema.equals(IMAGES)
    assert images.num_rows == 36
    assert images["image"][0].as_py().startswith(b"\x89PNG")
    assert manifest.facts["scores"]["pope/accuracy"] == rows["pope", "accuracy"]["value"]


def test_the_same_job_twice_gives_the_same_content(small):
    names = ("geneval", "pope", "cloze")
    forget(small)
    first = make_evaluation(small.evaluation(*names, group="twice"))
    forget(small)
    second = make_evaluation(small.evaluation(*names, group="twice"))
    assert first.digest == second.digest


def test_a_killed_evaluation_goes_on_and_gives_the_same(small, monkeypatch):
    forget(small)
    job = small.evaluation("pope", "mme", group="killed")
    job.execution["batch_size"] = 4
    undisturbed = make_evaluation(job)
    forget(small)
    original, calls = questions.answer_questions, []

    def dies(checkpoint, batch, most, suffix):
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(len(batch))
        return original(checkpoint, batch, most, suffix)

    monkeypatch.setattr(questions, "answer_questions", dies)
    job = small.evaluation("pope", "mme", group="killed")
    job.execution["batch_size"] = 4
    with pytest.raises(KeyboardInterrupt):
        make_evaluation(job)
    asked = []

    def counts(checkpoint, batch, most, suffix):
        asked.append(len(batch))
        return original(checkpoint, batch, most, suffix)

    monkeypatch.setattr(questions, "answer_questions", counts)
    assert make_evaluation(job).digest == undisturbed.digest
    assert sum(calls) + sum(asked) == 12 + 12
    assert sum(asked) == 24 - 16


def test_a_benchmark_added_to_a_group_is_the_only_one_computed(small, monkeypatch):
    forget(small)
    alone = small.evaluation("geneval", "pope", group="grown")
    make_evaluation(alone)
    for module, name in ((generation, "generate_pixels"), (questions, "answer_questions")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("computed again"))
    grown = small.evaluation("geneval", "pope", "cloze", group="grown")
    assert grown.folder != alone.folder
    make_evaluation(grown)
    for name in ("geneval", "pope"):
        assert table(grown, f"samples/{name}.parquet") == table(alone, f"samples/{name}.parquet")
    assert table(grown, "samples/cloze.parquet").num_rows == 12


def test_changed_settings_of_a_benchmark_are_computed_anew(small, monkeypatch):
    make_evaluation(small.evaluation("pope", group="settings"))
    asked = []
    original = questions.answer_questions

    def notes(checkpoint, batch, most, suffix):
        asked.append((most, suffix))
        return original(checkpoint, batch, most, suffix)

    monkeypatch.setattr(questions, "answer_questions", notes)
    make_evaluation(small.evaluation("pope", group="settings", max_answer_tokens=2))
    assert asked == [(2, "")]
    make_evaluation(small.evaluation("pope", group="settings", logic_version=2))
    assert asked == [(2, ""), (3, "")]
    job = small.evaluation("pope", group="settings", question_suffix=" So?")
    make_evaluation(job)
    assert asked[2:] == [(3, " So?")]
    assert all(prompt.endswith(" So?") for prompt in table(job, "samples/pope.parquet")["prompt"].to_pylist())


def test_an_unreadable_image_is_set_aside_and_counted(small):
    source = small.results / small.shapes
    lines = (source / "benchmarks" / "pope.tsv").read_text().splitlines()
    cells = lines[1].split("\t")
    lines[1] = "\t".join([*cells[:-1], cells[-1][: len(cells[-1]) // 8 * 4]])  # half of its PNG
    lines.append("broken row")
    folder = small.results / "sources" / "damaged"
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks" / "pope.tsv").write_text("\n".join(lines) + "\n")
    recipe = finished_copy(small, folder)
    job = small.evaluation("pope", group="damaged")
    inputs = dict(job.recipe.inputs) | {"benchmark:pope": recipe}
    job = make_job(small.results, "evaluate", "damaged", job.settings, inputs)
    manifest = make_evaluation(job)
    assert manifest.rejected["malformed row"] == 1
    assert sum(manifest.rejected.values()) >= 2
    rejected = table(job, "rejected.parquet").to_pylist()
    assert {"broken row", cells[0]} <= {row["sample_id"] for row in rejected}
    assert table(job, "samples/pope.parquet").num_rows + len(rejected) == 13


def finished_copy(small, folder):
    """Give a hand-made source a manifest under the name that its recipe would have."""
    from unix_lib.artefacts.recipe import Recipe

    target = small.results / Recipe("sources", "damaged", 1, {"made": "by a test"}).artefact
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    return finished(small.results, "sources", "damaged").artefact


def test_control_values_come_from_the_same_images(small):
    job = small.evaluation("geneval", group="control")
    make_evaluation(job)
    images = table(job, "images.parquet").to_pandas()
    rows = {row["metric"]: row for row in table(job, "scores.parquet").to_pylist()}
    shuffled = images.dropna(subset="shuffled_value").groupby("task")["shuffled_value"].mean().mean()
    assert rows["overall_shuffled"]["value"] == pytest.approx(shuffled)
    assert rows["overall"]["value"] == pytest.approx(images.groupby("task")["value"].mean().mean())


def test_cloze_answers_are_those_of_the_highest_likelihood(small):
    """lm-eval's choices against log-likelihoods computed by the library's own scoring."""
    from unix_lib.checkpoints.loaded import Checkpoint
    from unix_lib.generate.scoring import sequence_log_probabilities

    job = small.evaluation("cloze", group="cloze")
    make_evaluation(job)
    checkpoint = Checkpoint(small.results / small.checkpoint, None, 8)
    rows = text.read_cloze(small.results / small.prose / "benchmarks" / "cloze.jsonl")
    samples = table(job, "samples/cloze.parquet").to_pylist()
    assert len(samples) == len(rows)
    for row, sample in zip(rows, samples, strict=True):
        contexts, continuations = [], []
        for choice in row["choices"]:
            whole = checkpoint.tokenizer(f"{row['question']} {choice}")["input_ids"]
            context = checkpoint.tokenizer(row["question"])["input_ids"]
            contexts.append(whole[: len(context)])
            continuations.append(whole[len(context) :])
        likelihoods = sequence_log_probabilities(checkpoint.model, contexts, continuations)
        assert sample["prediction"] == row["choices"][int(np.argmax(likelihoods))]
        assert sample["answer"] == row["choices"][row["answer"]]
        assert sample["value"] == float(sample["prediction"] == sample["answer"])


def test_a_task_of_the_registry_that_is_not_here_says_how_to_get_it(small):
    from unix_lib.checkpoints.loaded import Checkpoint

    checkpoint = Checkpoint(small.results / small.checkpoint, None, 8)
    with pytest.raises(BenchmarkError, match="lm-eval has no task 'mmlu_of_mars'"):
        text.run_registered_task(checkpoint, "mmlu_of_mars", None)
    with pytest.raises(BenchmarkError, match=r"'arc_easy': its data set is not in .*unix_lib fetch <config>`"):
        text.run_registered_task(checkpoint, "arc_easy", 2)


def test_bad_cloze_lines_are_named(tmp_path):
    path = tmp_path / "cloze.jsonl"
    good = json.dumps({"question": "a", "choices": ["b", "c"], "answer": 1})
    for bad in ("{", json.dumps({"question": "a", "choices": ["b"], "answer": 1}), json.dumps({"question": "a"}), "3"):
        path.write_text(f"{good}\n{bad}\n")
        with pytest.raises(BenchmarkError, match=r"cloze\.jsonl:2"):
            text.read_cloze(path)
    path.write_text("")
    with pytest.raises(BenchmarkError, match="no questions"):
        text.read_cloze(path)


def test_an_image_that_would_grow_beyond_memory_is_set_aside():
    with pytest.raises(BadImage, match="aspect ratio: 1 x 40000000 pixels"):
        questions.question_pixels(png_that_claims(1, 40_000_000), 32)


def test_a_line_separator_within_a_string_ends_no_line(tmp_path):
    odd = "two\u2028lines\x85and more"
    question = {"question": odd, "choices": ["a", "b"], "answer": 1}
    prompt = {"tag": "colors", "prompt": odd, "include": [{"class": "circle", "count": 1}]}
    for name, row in (("cloze.jsonl", question), ("geneval.jsonl", prompt), ("scenes.jsonl", [{"objects": []}])):
        lines = json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row, ensure_ascii=False) + "\n"
        (tmp_path / name).write_bytes(lines.encode())
    assert text.read_cloze(tmp_path / "cloze.jsonl") == [question, question]
    assert read_prompts(tmp_path / "geneval.jsonl") == [prompt, prompt]
    assert len(read_scenes(tmp_path / "scenes.jsonl", 2)) == 2


def test_bad_prompt_lines_are_named_and_a_limit_keeps_all_tasks(tmp_path):
    path = tmp_path / "geneval.jsonl"
    lines = [
        {"tag": tag, "prompt": f"{tag} {i}", "include": [{"class": "circle", "count": 1}]}
        for tag in ("single_object", "colors", "counting")
        for i in range(4)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = [line["prompt"] for line in read_prompts(path, limit=5)]
    assert kept == ["single_object 0", "single_object 1", "colors 0", "colors 1", "counting 0"]
    path.write_text("{}\n")
    with pytest.raises(GenEvalError, match=r"geneval\.jsonl:1: 'tag' is None"):
        read_prompts(path)


def test_image_seeds_do_not_depend_on_other_prompts():
    seeds = {image_seed(218, prompt, occurrence, i) for prompt in "ab" for occurrence in (0, 1) for i in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert image_seed(218, "a", 0, 0) != image_seed(219, "a", 0, 0)


def test_geneval_without_a_judge_is_refused_in_the_config_and_in_the_job(small):
    with pytest.raises(ValueError, match="scorer geneval needs 'source'"):
        Benchmark(scorer="geneval", file="geneval.jsonl")
    with pytest.raises(ValueError, match="scorer yes_no knows the layouts pope, mme, not mmbench"):
        Benchmark(scorer="yes_no", layout="mmbench", source="shapes")
    job = small.evaluation("geneval", group="refused")
    inputs = {role: artefact for role, artefact in job.recipe.inputs.items() if role != "benchmark:geneval"}
    job = make_job(small.results, "evaluate", "refused", job.settings, inputs)
    with pytest.raises(BenchmarkError, match="Mask2Former and CLIP judge"):
        make_evaluation(job)


def test_a_source_without_the_benchmark_is_named(small):
    job = small.evaluation("pope", group="missing")
    inputs = dict(job.recipe.inputs) | {"benchmark:pope": small.prose}
    job = make_job(small.results, "evaluate", "missing", job.settings, inputs)
    with pytest.raises(BenchmarkError, match=r"evaluate\.benchmarks\.pope: no .*pope\.tsv"):
        make_evaluation(job)


def test_a_fetched_file_that_was_changed_is_refused(small, tmp_path):
    path = tmp_path / "pope.tsv"
    path.write_bytes((small.results / small.shapes / "benchmarks" / "pope.tsv").read_bytes())
    from pathlib import Path

    from unix_lib.recipes.external import FileHashes, files_identity

    identity = files_identity([path], Path.cwd(), FileHashes(None))
    job = small.evaluation("pope", group="file", file=str(path), source=None, identity=identity, limit=4)
    inputs = {role: artefact for role, artefact in job.recipe.inputs.items() if not role.startswith("benchmark")}
    job = make_job(small.results, "evaluate", "file", job.settings, inputs)
    make_evaluation(job)
    assert table(job, "samples/pope.parquet").num_rows == 4
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UserError, match="was changed after the plan was made"):
        make_evaluation(job)
    path.unlink()
    with pytest.raises(BenchmarkError, match="is missing; `python -m unix_lib fetch"):
        make_evaluation(job)


def test_a_ceiling_measures_the_detector_before_and_after_the_tokenizer(small):
    settings = {"benchmark": "geneval", "bootstrap_samples": 200}
    inputs = {"source": small.shapes, "image_tokenizer": small.image_tokenizer}
    job = make_job(small.results, "evaluate", "ceiling-geneval", settings, inputs)
    manifest = make_evaluation(job)
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

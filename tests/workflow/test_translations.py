"""Translations in the DAG, with the real scripts: made by a target of their own, used like a source, their benchmarks
in the layout that scorers read."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.endpoints.fake import Body, Reply, completion, endpoint
from tests.workflow.project import ROOT, Project, fake_project
from unix_lib.benchmarks.geneval_prompts import read_prompts
from unix_lib.benchmarks.question_files import read_questions
from unix_lib.evaluate.scene_files import read_scenes
from unix_lib.recipes.plan import STAGES
from unix_lib.records.shards import read_split

SHAPES = {"kind": "shapes", "train_scenes": 40, "heldout_scenes": 20, "prompts_per_task": 2}
SHAPES |= {"questions_per_benchmark": 10, "conversation_share": 0.5, "questions_per_scene": 2}
BENCHMARKS = ["geneval", "pope", "mmbench"]
REFUSED = "circle"  # prompts with it come back without an end


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = fake_project(tmp_path / "project")
    for stage in STAGES:
        shutil.copy(ROOT / "scripts" / f"{stage}.py", project.folder / "scripts")
    translation = {"source": "shapes", "language": "Chinese", "model": "m", "benchmarks": BENCHMARKS, "asks": 1}
    project.config = {
        "experiment": "tiny",
        "sources": {"shapes": dict(SHAPES)},
        "translate": {"translations": {"shapes-zh": translation}},
        "tokenizers": {"text": {"kind": "train_bpe", "sources": ["shapes", "shapes-zh"], "vocabulary_size": 300}},
    }
    return project


def chinese(body: Body) -> Reply:
    text = body["messages"][-1]["content"]
    return completion(f"译{text}", "length" if REFUSED in text else "stop")


def unix_lib(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unix_lib", *arguments]
    return subprocess.run(
        command, cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False
    )


def test_a_translation_is_made_and_used_like_a_source(project: Project) -> None:
    project.write_config()
    early = unix_lib(project, "translate", "export", "config/laptop.yaml", "batch")
    assert early.returncode == 1 and "never finished" in early.stderr and early.stderr.count("\n") == 1
    (made,) = [part for part in early.stderr.split("`") if part.startswith("snakemake ")]
    project.snakemake(*made.split()[1:])
    exported = unix_lib(project, "translate", "export", "config/laptop.yaml", "batch")
    assert "batch/shapes-zh-00000.jsonl:" in exported.stdout

    with endpoint(chinese) as server:
        project.config["translate"]["endpoint"] = {"url": server.url}
        project.write_config()
        project.snakemake("--cores", "2", "--", "translation_shapes-zh", "translation_shapes-zh-benchmarks")
    lines = (project.folder / "batch" / "shapes-zh-00000.jsonl").read_text().splitlines()
    first = {json.dumps(json.loads(line)["body"], sort_keys=True) for line in lines}
    assert first <= {json.dumps(body, sort_keys=True) for body in server.seen}

    current = project.results / "current"
    for split in ("train", "heldout"):
        original = read_split(current / "sources" / "shapes", split).to_pylist()
        translated = {
            row["sample_id"]: row for row in read_split(current / "translate" / "shapes-zh", split).to_pylist()
        }
        assert translated and len(translated) < len(original)
        for row in original:
            words = [row["text"] or "", *(turn["content"] for turn in row["messages"] or [])]
            assert (row["sample_id"] in translated) == (not any(REFUSED in text for text in words))
            if (new := translated.get(row["sample_id"])) and row["text"]:
                assert new == row | {"text": f"译{row['text']}", "source": "shapes-zh"}

    sources, benchmarks = (
        current / stage / f"{name}-benchmarks" for stage, name in (("sources", "shapes"), ("translate", "shapes-zh"))
    )
    for name, words in (("pope", None), ("mmbench", "options")):
        before, _ = read_questions(sources / "benchmarks" / f"{name}.tsv", name)
        after, rejected = read_questions(benchmarks / "benchmarks" / f"{name}.tsv", name)
        assert rejected == [] and 0 < len(after) < len(before)
        by_index = {question.index: question for question in before}
        for question in after:
            own = by_index[question.index]
            assert (question.text, question.answer, question.image) == (f"译{own.text}", own.answer, own.image)
            assert not words or question.options == {letter: f"译{text}" for letter, text in own.options.items()}
    prompts, _ = read_prompts(benchmarks / "benchmarks" / "geneval.jsonl")
    originals, _ = read_prompts(sources / "benchmarks" / "geneval.jsonl")
    kept = [prompt for prompt in originals if REFUSED not in prompt["prompt"]]
    assert prompts == [prompt | {"prompt": f"译{prompt['prompt']}"} for prompt in kept] and len(kept) < len(originals)
    read_scenes(benchmarks / "benchmarks" / "geneval_scenes.jsonl", lines=len(prompts))
    assert (benchmarks / "heldout_scenes.jsonl").read_bytes() == (sources / "heldout_scenes.jsonl").read_bytes()

    project.config["translate"]["endpoint"] = {}  # the rest needs no network
    project.write_config()
    project.snakemake("--cores", "2", "--", "all")
    text_tokenizer = json.loads((current / "tokenizers" / "text" / "recipe.json").read_text())
    assert any(name.startswith("translate/shapes-zh-") for name in text_tokenizer["inputs"]["records"])
    assert unix_lib(project, "verify", "results/tiny").returncode == 0


def test_an_endpoint_that_is_away_fails_the_job_with_one_line(project: Project) -> None:
    config = copy.deepcopy(project.config)
    with endpoint(chinese) as server:
        config["translate"]["endpoint"] = {"url": server.url, "attempts": 1}
    project.config = config
    project.write_config()
    failed = project.snakemake("--cores", "1", "--", "translation_shapes-zh", check=False)
    assert failed.returncode != 0
    told = [line for line in failed.stderr.splitlines() if line.startswith("TranslateError")]
    assert told == [
        f"TranslateError: shapes-zh: endpoint {server.url}: can't be reached, 1 time; start it, or correct "
        "translate.endpoint.url; what it has answered is kept, so run again"
    ]

"""`fetch`, `doctor` and an evaluation after it, each a process of its own, with a hub of the test's own."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluate.conftest import SmallExperiment, small  # noqa: F401  a fixture
from tests.fetch.small_hub import COMMIT, small_hub
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.recipes.workspace import execution_path

QUESTIONS = [
    {
        "id": f"question-{number}",
        "question": f"what comes after {number}?",
        "choices": {"text": ["a value", "the function", "an object", "nothing"], "label": ["A", "B", "C", "D"]},
        "answerKey": "ABCD"[number % 4],
    }
    for number in range(6)
]
SPLITS = ("train", "validation", "test")
CONFIG = f"""
extends: smoke.yaml
experiment: fetched
evaluate:
  groups: {{all: [geneval, dpg, pope, mme, mmbench, cloze, captions, likeness, arc]}}
  benchmarks:
    arc: {{scorer: lm_eval, task: arc_easy, chance: 0.25}}
fetch:
  repositories:
    - {{repository: owner/pictures, revision: {COMMIT}, folder: pictures, licence: MIT, megabytes: 0.1}}
"""
MAKE = """
import sys
from pathlib import Path
from unix_lib.jobs.job import Job
for paths in sys.argv[1:]:
    Job.from_files(*map(Path, paths.split())).make()
"""


def parquet(rows: list[dict]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def process(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    unset = ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HF_HOME": str(folder / "home")} | variables
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def missing(table: str) -> list[str]:
    """First lines of the second column in the rows that `doctor` marks so."""
    return [line.split("│")[2].strip() for line in table.splitlines() if line.startswith("│ missing")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("laptop.yaml", "smoke.yaml"):
        shutil.copy(Path(__file__).parents[2] / "config" / name, tmp_path)
    shutil.copytree(Path(__file__).parents[2] / "workflow" / "profiles" / "slurm", tmp_path / "slurm")
    (tmp_path / "experiment.yaml").write_text(CONFIG)
    return tmp_path


def test_what_was_fetched_is_found_offline(project: Path, small: SmallExperiment) -> None:  # noqa: F811
    card = "configs:\n- config_name: ARC-Easy\n  data_files:\n"
    card += "".join(f"  - split: {split}\n    path: ARC-Easy/{split}-*\n" for split in SPLITS)
    arc = {f"ARC-Easy/{split}-0.parquet": parquet(QUESTIONS) for split in SPLITS}
    repositories = {
        "datasets/allenai/ai2_arc": arc | {"README.md": f"---\n{card}---\n".encode()},
        "datasets/owner/pictures": {"one.png": b"one", "more/two.png": b"two"},
    }
    doctor = ("-m", "unix_lib", "doctor", "experiment.yaml")
    with small_hub(repositories) as address:
        # Looking downloads nothing, even where the hub can be reached.
        before = process(project, *doctor, HF_ENDPOINT=address)
        assert before.returncode == 1, before.stderr
        assert missing(before.stdout) == ["dataset owner/pictures (MIT, 0", "benchmark arc: data of lm-eval"]
        fetched = process(project, "-m", "unix_lib", "fetch", "experiment.yaml", HF_ENDPOINT=address)
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    assert f"allenai/ai2_arc@{COMMIT} (licence unknown, " in fetched.stdout
    assert (project / "pictures" / "more" / "two.png").read_bytes() == b"two"

    after = process(project, *doctor)
    assert after.returncode == 0 and missing(after.stdout) == [], after.stdout + after.stderr
    evaluation = small.evaluation("cloze", group="fetched", source=None, task="arc_easy", limit=4)
    jobs = []
    for job in (evaluation.members["cloze"], evaluation.scores):
        recipe = job.recipe.path(small.results).absolute()
        jobs.append(f"{recipe} {execution_path(recipe)} {job.folder.absolute() / MANIFEST}")
    made = process(project, "-c", MAKE, *jobs)
    assert made.returncode == 0, made.stderr
    assert read_manifest(evaluation.scores.folder).facts["data_sets"] == {"cloze": [f"allenai/ai2_arc@{COMMIT}"]}
    samples = pq.read_table(evaluation.scores.folder / "samples" / "cloze.parquet").to_pylist()
    expected = [(f"arc_easy-{i:06d}", QUESTIONS[i]["choices"]["text"][i % 4]) for i in range(4)]
    assert [(row["sample_id"], row["answer"]) for row in samples] == expected


def test_one_thing_that_is_not_on_the_hub_does_not_stop_the_rest(project: Path) -> None:
    absent = f"{{repository: owner/absent, revision: {COMMIT}, licence: MIT}}"
    pictures = f"{{repository: owner/pictures, revision: {COMMIT}, licence: MIT}}"
    (project / "other.yaml").write_text(
        f"extends: smoke.yaml\nexperiment: other\nfetch:\n  repositories: [{absent}, {pictures}]\n"
    )
    with small_hub({"datasets/owner/pictures": {"one.png": b"one"}}) as address:
        fetched = process(project, "-m", "unix_lib", "fetch", "other.yaml", HF_ENDPOINT=address)
    assert fetched.returncode == 1
    *sizes, in_all, first, second = fetched.stdout.splitlines()
    assert sizes == ["dataset owner/absent: MIT, size unknown", "dataset owner/pictures: MIT, 0 MB"]
    assert in_all == "0 MB in all, and 1 of unknown size."
    assert first.startswith(f"missing dataset owner/absent: dataset owner/absent@{COMMIT}: ")
    assert first.endswith("; run fetch where the hub is reachable")
    assert second.startswith("ok dataset owner/pictures (MIT) in ")

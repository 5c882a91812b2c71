"""Images that look like another one of their source, or like one of a benchmark, are set aside, over all parts."""

import base64
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.images.test_perceptual import scenery, stored
from unix_lib.config.experiment import Experiment
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import write_plan
from unix_lib.records.shards import iterate_rows

TOKENIZER = {"kind": "pretrained", "path": "none", "shape": {"image_size": 16, "base_channels": 32}}
PICTURES = 6


def compressed(image: Image.Image) -> bytes:
    return stored(image, "JPEG", quality=60)


def planned(sources: dict[str, Any], results: Path, **sections: Any) -> Plan:
    values = {"experiment": results.name, "held_out": {"share": 0.3}, "sources": sources, **sections}
    plan = resolve(Experiment.model_validate(values), Path.cwd())
    write_plan(plan, results)
    return plan


def made(plan: Plan, results: Path) -> dict[str, Any]:
    """Manifests of a source's jobs by name."""
    manifests = {}
    for job in plan.jobs.values():
        if job.recipe.stage == "sources":
            manifests[job.recipe.name] = Job[Any, Any].of(job.recipe, results, job.execution).make()
    return manifests


def asks_about(path: Path, image: Image.Image) -> dict[str, Any]:
    """A benchmark's file with a question about an image, and what a config says of it."""
    data = base64.b64encode(stored(image)).decode()
    path.write_text(f"index\tquestion\tanswer\timage\n1\tIs it nice?\tyes\t{data}\n")
    benchmark = {"scorer": "yes_no", "layout": "pope", "file": str(path)}
    return {"benchmarks": {"pope": benchmark}, "groups": {"all": ["pope"]}}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files of the same six pictures, of which the second has them compressed, and a blank in each."""
    for number, store in enumerate((stored, compressed)):
        images = [*(store(scenery(seed)) for seed in range(PICTURES)), store(Image.new("RGB", (64, 64 + number)))]
        rows = [
            {"images": [{"bytes": data, "path": None}], "texts": [{"user": "What?", "assistant": "This."}]}
            for data in images
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{number}.parquet")
    return [str(tmp_path / "*.parquet")]


def test_what_looks_like_another_image_or_a_benchmarks_is_set_aside(tmp_path: Path, files: list[str]) -> None:
    results = tmp_path / "results"
    source = {"kind": "finevision", "files": files, "shard_megabytes": 1, "screening": {}}
    evaluate = asks_about(tmp_path / "pope.tsv", scenery(0).resize((300, 300)))
    plan = planned({"mine": source}, results, evaluate=evaluate)
    assert len(plan.images("mine")) == 1  # of about a MB
    manifests = made(plan, results)
    assert manifests["mine-hashes"].facts == {"images": 2 * PICTURES + 2, "images_without_hash": 2}
    screening = manifests["mine-screening"]
    assert screening.rejected == {"in_benchmark": 2, "near_duplicate": PICTURES - 1}
    assert screening.facts["images_compared"] == 2 * PICTURES and screening.facts["benchmark_images"] >= 1
    records = manifests["mine"]
    assert records.rejected == {"image set aside": PICTURES + 1}
    assert records.facts["rows_read"] == 2 * PICTURES + 2
    assert records.facts["train_records"] + records.facts["heldout_records"] == PICTURES - 1 + 2
    left = [row for split in ("train", "heldout") for row in iterate_rows(results / records.artefact, split)]
    shown = sorted(row["sample_id"].rpartition("/")[2] for row in left)
    assert shown == [f"0.parquet:{row}" for row in range(2, 8)] + ["1.parquet:7"]


def test_parts_are_compared_with_each_other(tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from unix_lib.config import row_files

    monkeypatch.setattr(row_files, "cut_into_parts", lambda paths, *_: [[path] for path in paths])
    results = tmp_path / "results"
    plan = planned({"mine": {"kind": "finevision", "files": files, "screening": {}}}, results)
    manifests = made(plan, results)
    assert len(plan.images("mine")) == len(plan.of_source("mine", "hashes")) == 2
    assert manifests["mine-screening"].rejected == {"near_duplicate": PICTURES}
    assert [manifests[name].rejected for name in ("mine", "mine-0001")] == [{}, {"image set aside": PICTURES}]


def test_an_image_folder_is_screened_and_encodes_what_is_left(tmp_path: Path) -> None:
    results, folder = tmp_path / "results", tmp_path / "images"
    folder.mkdir()
    for name, data in {
        "a.png": stored(scenery(1)),
        "b.jpg": compressed(scenery(1)),
        "c.png": stored(scenery(2)),
    }.items():
        (folder / name).write_bytes(data)
        (folder / name).with_suffix(".txt").write_text("a caption")
    source = {"kind": "image_folder", "folder": str(folder), "image_size": 64, "screening": {"distance": 8}}
    plan = planned({"mine": source}, results, tokenizers={"image": TOKENIZER})
    manifests = made(plan, results)
    assert manifests["mine-screening"].rejected == {"near_duplicate": 1}
    assert manifests["mine"].rejected == {"image set aside": 1}
    [encode] = plan.codes("mine")
    recipe = plan.jobs[encode].recipe
    assert recipe.inputs["screening"] == plan.of_source("mine", "screening")


def test_without_screening_no_recipe_knows_of_it(tmp_path: Path, files: list[str]) -> None:
    source = {"kind": "finevision", "files": files}
    plans = [planned({"mine": source | more}, tmp_path / "results") for more in ({}, {"screening": None})]
    assert [*plans[0].jobs] == [*plans[1].jobs] and not plans[0].of_source("mine", "screening")
    screened = planned({"mine": source | {"screening": {}}}, tmp_path / "results")
    assert screened.images("mine") == plans[0].images("mine")  # which are not made again
    assert screened.records("mine") != plans[0].records("mine")

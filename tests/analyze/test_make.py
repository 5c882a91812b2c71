"""Analysis jobs from recipe to manifest: what is read, what is written, that it repeats, and bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from tests.analyze.tiny import image_document, text_document, tiny_model
from unix_lib.analyze.errors import AnalysisError
from unix_lib.analyze.make import make_analysis
from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import MANIFEST, Manifest, write_manifest
from unix_lib.pack.writer import FIELDS
from unix_lib.artefacts.recipe import Recipe, write_recipe
from unix_lib.records.schema import ENCODED_RECORD, SOURCE_RECORD
from unix_lib.records.shards import ShardWriter

WORDS = [f"w{i}" for i in range(50)]
ENTROPY = {"sources": ["prose", "shapes"], "orders": 5, "budget": 5000, "sample_sizes": 3, "seed": 218}
CONFLICT = {"run": "shared", "step": 10, "mixture": "mixed", "documents": 8, "chunks": 4, "splits": 3, "seed": 218}


def run_job(recipe: Recipe, results: Path) -> Manifest:
    write_recipe(recipe, results)
    execution = results / "execution.json"
    execution.write_text('{"job": {"threads": 1, "gpus": 0, "memory_mb": 500}}')
    return make_analysis(Job.from_files(recipe.path(results), execution, results / recipe.artefact / MANIFEST))


def artefact(results: Path, name: str) -> Path:
    folder = results / name
    folder.mkdir(parents=True)
    return folder


def write_records(folder: Path, schema: pa.Schema, rows: list[dict[str, object]]) -> None:
    with ShardWriter(folder, "train", schema) as writer:
        for number, row in enumerate(rows):
            writer.write({"sample_id": f"{number:05d}", "source": folder.name} | row)
    write_manifest(folder, "r", dict(writer.files))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Text of i.i.d. words, images of i.i.d. codes, and conversations that repeat an image with other codes."""
    rng = np.random.default_rng(0)
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = artefact(tmp_path, "tokenizers/text-0")
    (folder / "tokenizer").mkdir()
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    write_manifest(folder, "r", {"tokenizer/tokenizer.json": None})
    documents = [{"kind": "text", "text": " ".join(rng.choice(WORDS, 40))} for _ in range(200)]
    write_records(artefact(tmp_path, "sources/prose-0"), SOURCE_RECORD, documents)
    images = [{"kind": "image_text", "text": "c", "image_codes": rng.integers(0, 8, 16)} for _ in range(250)]
    repeats = [{"kind": "conversation", "image_codes": [7] * 16} for _ in range(500)]
    write_records(artefact(tmp_path, "encode/shapes-0"), ENCODED_RECORD, images + repeats)
    return tmp_path


def entropy_recipe(**settings: object) -> Recipe:
    inputs = {"records": ["sources/prose-0", "encode/shapes-0"], "text_tokenizer": "tokenizers/text-0"}
    return Recipe("analyze", "entropy", 1, ENTROPY | settings, inputs)


def test_entropy_job(results: Path) -> None:
    recipe = entropy_recipe()
    manifest = run_job(recipe, results)
    table = pd.read_parquet(results / recipe.artefact / "entropy.parquet")
    assert manifest.facts == {"budget": 4000, "asked_budget": 5000, "smallest_source": "shapes"}
    assert sorted(table.tokens.unique()) == [400, 1265, 4000]
    assert set(table[table.budget].tokens) == {4000}
    first = table[table.budget & (table.n == 1)].set_index("source")
    assert dict(first.modality) == {"prose": "text", "shapes": "image"}
    assert first.sequences["shapes"] == 250  # each image once, no conversation
    assert first.sequences["prose"] == 100
    assert first.corrected["prose"] == pytest.approx(np.log2(50), abs=0.05)
    assert first.corrected["shapes"] == pytest.approx(3.0, abs=0.02)
    second = table[table.budget & (table.n == 2)].set_index("source")
    assert second.corrected["shapes"] == pytest.approx(3.0, abs=0.02)
    assert table[table.budget & (table.n <= 3)].plug_in_standard_error.gt(0).all()
    assert run_job(recipe, results).digest == manifest.digest


def test_budget_below_all_sources_is_kept(results: Path) -> None:
    recipe = entropy_recipe(budget=1000, sources=["prose", "shapes"])
    assert run_job(recipe, results).facts["budget"] == 1000
    table = pd.read_parquet(results / recipe.artefact / "entropy.parquet")
    assert set(table[table.budget].tokens) == {1000}


def test_source_without_records_of_its_kind_is_refused(results: Path) -> None:
    folder = artefact(results, "encode/empty-0")
    write_records(folder, ENCODED_RECORD, [{"kind": "conversation", "image_codes": [1, 2]}])
    recipe = entropy_recipe(sources=["prose", "empty"])
    recipe.inputs["records"] = ["sources/prose-0", "encode/empty-0"]
    with pytest.raises(AnalysisError, match="source 'empty' has no 'image_text' record"):
        run_job(recipe, results)


def test_tiny_source_is_refused(results: Path) -> None:
    write_records(artefact(results, "sources/tiny-0"), SOURCE_RECORD, [{"kind": "text", "text": "w1 w2 w3"}])
    recipe = entropy_recipe(sources=["prose", "tiny"])
    recipe.inputs["records"] = ["sources/prose-0", "sources/tiny-0"]
    with pytest.raises(AnalysisError, match="source 'tiny' has only 3 tokens"):
        run_job(recipe, results)


def test_conflict_job(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    documents = [make(rng) for _ in range(20) for make in (text_document, image_document)]
    packs = [documents[begin : begin + 4] for begin in range(0, 40, 4)]
    rows = {
        "input_ids": [[token for document in pack for token in document] for pack in packs],
        "loss_mask": [[place > 0 for document in pack for place in range(len(document))] for pack in packs],
        "document_lengths": [[len(document) for document in pack] for pack in packs],
    }
    folder = artefact(tmp_path, "pack/mixed-0")
    schema = pa.schema(FIELDS, metadata={"length": "128", "packs_per_batch": "100"})
    with pa.ipc.new_file(str(folder / "epoch-000.arrow"), schema) as writer:
        writer.write_table(pa.table(rows, schema=schema))
    write_manifest(folder, "r", {"epoch-000.arrow": len(packs)})
    folder = artefact(tmp_path, "train/shared-0")
    tiny_model({"preset": "shared"}).save_pretrained(folder / "model")
    facts = {"run": "shared", "step": 10, "tokens": 1000, "architecture": "shared", "seed": 218}
    write_manifest(folder, "r", {f"model/{path.name}": None for path in (folder / "model").iterdir()}, facts=facts)

    inputs: dict[str, str | list[str]] = {"checkpoint": "train/shared-0", "pack": "pack/mixed-0"}
    recipe = Recipe("analyze", "conflict-shared-step-00010", 1, CONFLICT, inputs)
    manifest = run_job(recipe, tmp_path)
    table = pd.read_parquet(tmp_path / recipe.artefact / "conflict.parquet")
    expected = "run step tokens architecture seed layer projection shared split s_inter s_base conflict s_text s_image"
    assert list(table.columns) == expected.split()
    assert len(table) == 3 * 7 * 3
    assert table.shared.all()
    assert np.allclose(table.conflict, table.s_base - table.s_inter)
    assert manifest.facts == facts | {"documents_per_modality": 8}
    assert run_job(recipe, tmp_path).digest == manifest.digest


def test_unknown_analysis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="no such analysis"):
        run_job(Recipe("analyze", "saliency", 1, {}), tmp_path)

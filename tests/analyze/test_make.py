"""Analysis jobs from recipe to manifest: what is read, what is written, that it repeats, and bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from tests.analyze.tiny import IMAGE_OFFSET, TEXT_IDS, image_document, text_document, tiny_model
from tests.jobs.making import make_job
from tests.pack.by_hand import write_packs
from tests.records.making import DIGEST, write_splits
from unix_lib.analyze.conflict_kind import ConflictSettings
from unix_lib.analyze.entropy_kind import EntropySettings
from unix_lib.analyze.errors import AnalysisError
from unix_lib.analyze.token_sequences import read_sequences
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.config.jobs import Execution
from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.jobs.job import Job
from unix_lib.models.configuration import ModelError
from unix_lib.records.schema import CODES, RECORD
from unix_lib.tokenizers.vocabulary import build_vocabulary

WORDS = [f"w{i}" for i in range(50)]
Inputs = dict[str, str | list[str]]


def artefact(results: Path, name: str) -> Path:
    folder = results / name
    folder.mkdir(parents=True)
    return folder


def write_records(results: Path, source: str, rows: list[dict[str, object]]) -> str:
    numbered = [{"sample_id": f"{number:05d}", "source": source} | row for number, row in enumerate(rows)]
    return write_splits(results, f"sources/{source}", RECORD, numbered)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Text of i.i.d. words; images of i.i.d. codes, and conversations about other images."""
    rng = np.random.default_rng(0)
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = artefact(tmp_path, "tokenizers/text-0")
    (folder / "tokenizer").mkdir()
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    write_manifest(folder, "r", {"tokenizer/tokenizer.json": None})
    write_records(tmp_path, "prose", [{"kind": "text", "text": " ".join(rng.choice(WORDS, 40))} for _ in range(200)])
    codes = [{"image_id": f"image {i}", "image_codes": rng.integers(0, 8, 16)} for i in range(250)]
    codes += [{"image_id": f"talk {i}", "image_codes": [7] * 16} for i in range(500)]
    records = [{"kind": "image_text", "text": "c", "image_ids": [f"image {i}"]} for i in range(250)]
    records += [{"kind": "conversation", "image_ids": [f"talk {i}"]} for i in range(500)]
    write_records(tmp_path, "shapes", records)
    write_splits(tmp_path, "encode/shapes", CODES, codes[::-1])  # in an order of their own
    return tmp_path


def entropy_job(results: Path, with_images: str = "shapes", **settings: object) -> Job[EntropySettings, Execution]:
    """The job on `prose` and other sources, those `with_images` among them."""
    given = EntropySettings.model_validate(
        {"sources": ["prose", "shapes"], "budget": 5000, "sample_sizes": 3} | settings
    )
    inputs: Inputs = {"text_tokenizer": "tokenizers/text-0"}
    for source in given.sources:
        inputs[f"records:{source}"] = [f"sources/{source}-{DIGEST}"]
        if source == with_images:
            inputs[f"codes:{source}"] = [f"encode/{source}-{DIGEST}"]
    return make_job(results, "analyze", "entropy", "entropy", given, inputs)


def test_entropy_job(results: Path) -> None:
    job = entropy_job(results)
    manifest = job.make()
    table = pd.read_parquet(job.folder / "entropy.parquet")
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
    assert job.make().digest == manifest.digest


def test_budget_below_all_sources_is_kept(results: Path) -> None:
    job = entropy_job(results, budget=1000)
    assert job.make().facts["budget"] == 1000
    table = pd.read_parquet(job.folder / "entropy.parquet")
    assert set(table[table.budget].tokens) == {1000}


def test_source_without_records_of_its_kind_is_refused(results: Path) -> None:
    write_records(results, "empty", [{"kind": "conversation", "image_ids": ["talk"]}])
    write_splits(results, "encode/empty", CODES, [{"image_id": "talk", "image_codes": [1, 2]}])
    with pytest.raises(AnalysisError, match="source 'empty' has no 'image_text' record"):
        entropy_job(results, "empty", sources=["prose", "empty"]).make()
    with pytest.raises(AnalysisError, match="source 'empty' has no 'text' record"):
        entropy_job(results, "none", sources=["prose", "empty"]).make()


def test_an_image_counts_once_for_each_caption_and_not_without_codes(results: Path) -> None:
    shown = ["a", "b", "a", "set aside", "c", "a"]
    write_records(results, "photos", [{"kind": "image_text", "text": "c", "image_ids": [image]} for image in shown])
    codes = [{"image_id": image, "image_codes": [ord(image)] * 40} for image in "cab"]
    write_splits(results, "encode/photos", CODES, codes)
    read = read_sequences(
        "photos",
        [results / f"sources/photos-{DIGEST}"],
        [results / f"encode/photos-{DIGEST}"],
        tokenizer_file=Path("none"),
        budget=1000,
        seed=1,
        folder=results,
    )
    assert (read.modality, read.lengths.tolist()) == ("image", [40] * 5)
    images = read.tokens.reshape(5, 40)
    assert sorted(map(chr, images[:, 0])) == ["a", "a", "a", "b", "c"]
    assert (images == images[:, :1]).all()


def test_tiny_source_is_refused(results: Path) -> None:
    write_records(results, "tiny", [{"kind": "text", "text": "w1 w2 w3"}])
    with pytest.raises(AnalysisError, match="source 'tiny' has only 3 tokens"):
        entropy_job(results, sources=["prose", "tiny"]).make()


def write_conflict_inputs(results: Path) -> tuple[Path, Path, dict[str, object]]:
    """A checkpoint, and a pack of 20 texts and 20 images; their folders, and whose the checkpoint is."""
    rng = np.random.default_rng(1)
    documents = [make(rng) for _ in range(20) for make in (text_document, image_document)]
    packs = [documents[begin : begin + 4] for begin in range(0, 40, 4)]
    targets = [[(document, [place > 0 for place in range(len(document))]) for document in pack] for pack in packs]
    pack = artefact(results, "pack/mixed-0")
    vocabulary = build_vocabulary(
        {"<|vision_start|>": 0, "<|vision_end|>": 1, "<|endoftext|>": TEXT_IDS - 1},
        VocabularySettings(codebook_size=16, codes_per_image=8, multiple=64, padded_text_vocabulary=IMAGE_OFFSET),
    )
    write_packs(pack, {"epoch-000": targets}, vocabulary, length=128)
    write_manifest(pack, "r", {path.name: None for path in pack.iterdir()})
    folder = artefact(results, "train/shared-0")
    model = tiny_model({"preset": "shared"})
    model.config.eos_token_id = model.config.pad_token_id = TEXT_IDS - 1
    model.save_pretrained(folder / "model")
    facts = {"run": "shared", "step": 10, "tokens": 1000, "architecture": "shared", "seed": 218}
    write_manifest(folder, "r", {f"model/{path.name}": None for path in (folder / "model").iterdir()}, facts=facts)
    return folder, pack, facts


def test_conflict_job(tmp_path: Path) -> None:
    folder, _, facts = write_conflict_inputs(tmp_path)
    settings = ConflictSettings(run="shared", step=10, mixture="mixed", documents=8, chunks=4, splits=3)
    inputs: Inputs = {"checkpoint": "train/shared-0", "pack": "pack/mixed-0"}
    job = make_job(tmp_path, "analyze", "conflict-shared-step-00010", "conflict", settings, inputs)
    manifest = job.make()
    table = pd.read_parquet(job.folder / "conflict.parquet")
    expected = "run step tokens architecture seed layer projection shared split s_inter s_base conflict s_text s_image"
    assert list(table.columns) == expected.split()
    assert len(table) == 3 * 7 * 3
    assert table.shared.all()
    assert np.allclose(table.conflict, table.s_base - table.s_inter)
    assert manifest.facts == facts | {"documents_per_modality": 8}
    assert job.make().digest == manifest.digest

    keys = {"reliability": 0.999, "round_documents": 4, "documents": 18, "breakdown": True}
    rounds = make_job(tmp_path, "analyze", "rounds", "conflict", settings.model_copy(update=keys), inputs)
    manifest = rounds.make()
    assert manifest.facts["documents_per_modality"] == 16 and 0 < manifest.facts["reliability"] < 0.999
    assert len(pd.read_parquet(rounds.folder / "conflict.parquet")) == len(table)
    precision = pd.read_parquet(rounds.folder / "precision.parquet")
    assert set(precision.left_out) == set(range(-1, 8)) and set(precision.run) == {"shared"}
    assert set(precision.part) == {"", "norm", "head 1", "head 2"}
    assert not rounds.work.exists()
    too_many = settings.model_copy(update=keys | {"round_documents": 32, "documents": 32})
    with pytest.raises(AnalysisError, match="no 32 documents of both modalities"):
        make_job(tmp_path, "analyze", "none", "conflict", too_many, inputs).make()

    weights = tmp_path / "train" / "shared-0" / "model" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    write_manifest(folder, "r", {f"model/{path.name}": None for path in (folder / "model").iterdir()}, facts=facts)
    again = make_job(tmp_path, "analyze", "conflict-shared-step-00010", "conflict", settings, inputs)
    (again.folder / "manifest.json").unlink()
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        again.make()

"""Held-out loss of each source: of its own documents, whatever pack they stand in, and with an error over them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.jobs.making import make_job
from tests.pack.experiment import Experiment, image_record, text_record, write_source
from tests.recipes.finished import small_plan
from unix_lib.analyze.heldout_loss import heldout_documents, mean_loss
from unix_lib.analyze.heldout_loss_kind import HeldoutLossSettings
from unix_lib.artefacts.manifest import read_manifest, write_manifest
from unix_lib.config.models import DecoderShape, SharedPlan
from unix_lib.config.strict import ConfigError
from unix_lib.models.routing import build_batch
from unix_lib.models.start import fresh_model
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

FACTS = {"run": "shared", "step": 10, "tokens": 1000, "architecture": "shared", "seed": 218}
SETTINGS = HeldoutLossSettings(run="shared", step=10, documents=30, seed=1)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Experiment, Path]:
    """Packs of `scenes`, `prose`, a source whose held-out documents are too long for a pack, and `last`."""
    experiment = Experiment(tmp_path)
    long = [{"sample_id": f"long-{number}", "kind": "text", "text": "many words " * 90} for number in range(3)]
    sources = {
        "scenes": write_source(tmp_path, "many", [image_record(1)], [image_record(100 + i) for i in range(40)]),
        "prose": experiment.prose,
        "long": write_source(tmp_path, "long", [text_record(0)], long),
        "last": write_source(tmp_path, "last", [text_record(1)], [text_record(500 + i) for i in range(7)]),
    }
    _, folder = experiment.pack(sources)
    return experiment, folder


def test_documents_of_a_mixture_that_no_run_is_trained_on_are_measured_where_it_is_named() -> None:
    def changed(values: dict[str, Any]) -> None:
        values["pack"]["mixtures"]["mine"] = {"parts": [{"source": "digits"}]}
        values["analyze"]["mine"] = {"kind": "heldout_loss", "mixture": "mine"}

    plan = small_plan(changed)
    jobs = [plan.jobs[artefact].recipe for artefact in plan.of_kind("analyze", "heldout_loss")]
    assert {recipe.inputs["pack"] for recipe in jobs} == {plan.pack("mine")}
    of = [f"{run}-step-000{step}" for run in ("shared", "unix") for step in (10, 30)]
    assert [recipe.name for recipe in jobs] == [f"mine-{name}" for name in of]
    with pytest.raises(ConfigError, match=r"analyze\.mine\.mixture: unknown mixture 'mien'; did you mean 'mine'"):
        small_plan(lambda values: (changed(values), values["analyze"]["mine"].update(mixture="mien")))


def test_documents_are_those_of_their_source(packed: tuple[Experiment, Path]) -> None:
    experiment, folder = packed
    assert read_manifest(folder).facts["records"]["heldout"] == {"scenes": 40, "prose": 5, "long": 3, "last": 7}
    found = heldout_documents(folder, SETTINGS)
    assert {source: len(documents) for source, documents in found.items()} == {
        "scenes": 30,
        "prose": 5,
        "long": 0,
        "last": 7,
    }
    tokenizer = load_text_tokenizer(experiment.results / experiment.text_tokenizer)
    texts = {source: {tokenizer.decode(one.input_ids) for one in documents} for source, documents in found.items()}
    assert texts["last"] == {f"{text_record(500 + i)['text']}<|endoftext|>" for i in range(7)}
    assert texts["prose"] == {f"{text_record(9000 + i)['text']}<|endoftext|>" for i in range(5)}
    assert heldout_documents(folder, SETTINGS.model_copy(update={"documents": 2})).keys() == found.keys()


def test_job_adds_up_to_the_loss_of_the_packs(packed: tuple[Experiment, Path]) -> None:
    experiment, folder = packed
    vocabulary = Vocabulary.read(experiment.results / experiment.vocabulary)
    shape = DecoderShape(hidden_size=16, intermediate_size=24, layers=2, heads=2, key_value_heads=1)
    model = fresh_model(shape, SharedPlan(preset="shared"), vocabulary, seed=0).eval()
    checkpoint = experiment.results / "train" / "shared-0"
    model.save_pretrained(checkpoint / "model")
    write_manifest(checkpoint, "r", {f"model/{p.name}": None for p in (checkpoint / "model").iterdir()}, facts=FACTS)

    inputs: dict[str, str | list[str]] = {"checkpoint": "train/shared-0", "pack": f"pack/{folder.name}"}
    settings = SETTINGS.model_copy(update={"documents": 1000})
    job = make_job(experiment.results, "analyze", "heldout_loss-shared-step-00010", "heldout_loss", settings, inputs)
    manifest = job.make()
    table = pd.read_parquet(job.folder / "heldout_loss.parquet")
    assert {*zip(table.source, table.modality, strict=True)} == {
        ("scenes", "image"),
        ("scenes", "text"),
        ("prose", "text"),
        ("last", "text"),
    }
    assert table.set_index(["source", "modality"]).documents["last", "text"] == 7
    reader = PackReader(folder).heldout()
    with torch.no_grad():
        outputs = [model(**build_batch([reader[index]], model.config)) for index in range(len(reader))]
    for modality, rows in table.groupby("modality"):
        whole = sum(float(getattr(output, f"loss_{modality}_sum")) for output in outputs)
        assert (rows.loss * rows.targets).sum() == pytest.approx(whole, rel=1e-4)
    assert table.standard_error.gt(0).all()
    name = "document_losses-shared-step-00010"
    single = make_job(experiment.results, "analyze", name, "document_losses", settings, inputs)
    single.make()
    documents = pd.read_parquet(single.folder / "document_losses.parquet")
    assert documents.groupby("source").document.nunique().to_dict() == {"scenes": 40, "prose": 5, "last": 7}
    for (source, modality), row in table.set_index(["source", "modality"]).iterrows():
        own = documents[(documents.source == source) & (documents[f"targets_{modality}"] > 0)]
        assert len(own) == row.documents and own[f"targets_{modality}"].sum() == row.targets
        assert own[f"loss_{modality}"].sum() / row.targets == pytest.approx(row.loss)
    assert job.make().digest == manifest.digest


def test_standard_error_is_the_spread_over_samples_of_documents() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 60, (300, 100)).astype(float)
    losses = targets * (3 + 0.5 * rng.normal(size=targets.shape)) + rng.normal(size=targets.shape)
    measured = [mean_loss(*of_sample) for of_sample in zip(losses, targets, strict=True)]
    spread = np.std([row["loss"] for row in measured])
    assert np.mean([row["standard_error"] for row in measured]) == pytest.approx(spread, rel=0.1)
    assert measured[0]["documents"] == (targets[0] > 0).sum()
    assert mean_loss(np.array([2.0, 0.0]), np.array([1.0, 0.0]))["standard_error"] is None

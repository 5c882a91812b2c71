"""Conflict against a second computation with plain autograd, its sign and its zero, sampling and bad input."""

import numpy as np
import pytest

from tests.analyze.tiny import CODES, IMAGE_OFFSET, image_document, text_document, tiny_model
from unix_lib.analyze.conflict import inner_products, projections_of
from unix_lib.analyze.conflict_cosines import conflict_table, split_groups
from unix_lib.analyze.conflict_documents import Chunks, sample_chunks
from unix_lib.analyze.errors import AnalysisError
from unix_lib.models import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch
from unix_lib.pack.formats import Format
from unix_lib.pack.reader import Document

PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
PLENTY = 1 << 30


def chunks_of(make_text, make_image, chunks: int = 4, documents: int = 3) -> Chunks:
    rng = np.random.default_rng(5)
    sides = [
        [[Documents.of([make(rng)]) for _ in range(documents)] for _ in range(chunks)]
        for make in (make_text, make_image)
    ]
    return Chunks(sides[0], sides[1], chunks * documents)


def table_of(model: UnixForCausalLM, chunks: Chunks, splits: int = 6, memory: int = PLENTY):
    return conflict_table(inner_products(model, chunks, memory), len(chunks.text), splits, seed=1).to_pandas()


def test_equals_plain_autograd() -> None:
    """Gradients of each group computed afresh with `backward` on its documents, one at a time."""
    model = tiny_model({"preset": "shared"})
    chunks = chunks_of(text_document, image_document)
    table = table_of(model, chunks, splits=2).set_index(["layer", "projection", "split"])
    everything = chunks.text + chunks.image
    for split, groups in enumerate(split_groups(4, 2, seed=1)):
        gradients = []
        for group in groups:
            model.zero_grad()
            for chunk in np.flatnonzero(group):
                for document in everything[chunk]:
                    output = model(**build_batch([document], model.config))
                    (output.loss * (output.targets_text + output.targets_image)).backward()
            gradients.append({name: weight.grad.flatten().double() for name, weight in model.named_parameters()})
        for layer, block, projection in (
            (0, "self_attn", "v_proj"),
            (1, "mlp", "down_proj"),
            (2, "self_attn", "o_proj"),
        ):
            name = f"model.layers.{layer}.{block}.{projection}.weight"
            units = [gradient[name] / gradient[name].norm() for gradient in gradients]
            text, image, any1, any2, other_text, other_image = units
            row = table.loc[(layer, projection, split)]
            assert row.s_inter == pytest.approx(float(text @ image), abs=1e-5)
            assert row.s_base == pytest.approx(float(any1 @ any2), abs=1e-5)
            assert row.conflict == pytest.approx(float(any1 @ any2 - text @ image), abs=1e-5)
            assert row.s_text == pytest.approx(float(text @ other_text), abs=1e-5)
            assert row.s_image == pytest.approx(float(image @ other_image), abs=1e-5)


def test_no_conflict_between_samples_of_one_distribution() -> None:
    table = table_of(tiny_model({"preset": "shared"}), chunks_of(text_document, text_document, 8, 24), splits=40)
    means = table.groupby("projection").conflict.mean()
    assert means.abs().max() < 0.05, means


def test_opposed_targets_conflict() -> None:
    """The same prefix, one side always continued by one token, the other by another: the gradients are opposed."""
    table = table_of(
        tiny_model({"preset": "shared"}),
        chunks_of(lambda rng: [5, 6, 7, 8, 10] * 2, lambda rng: [5, 6, 7, 8, 30] * 2, 4, 2),
    )
    assert (table.conflict > 0.05).all()


def test_rows_and_sharing() -> None:
    chunks = chunks_of(text_document, image_document)
    table = table_of(tiny_model({"preset": "unix", "first": 1, "last": 1}), chunks, splits=3)
    measured = table[table.shared]
    assert set(measured.layer) == {1}
    assert set(measured.projection) == PROJECTIONS
    assert len(measured) == 7 * 3
    cosines = ["s_inter", "s_base", "conflict", "s_text", "s_image"]
    assert table[~table.shared][["split", *cosines]].isna().all(axis=None)
    assert measured[cosines].notna().all(axis=None)
    assert len(table[~table.shared]) == 14

    moe = tiny_model({"preset": "moe", "every": 2})
    shared = {(p.layer, p.name) for p in projections_of(moe) if p.weight is not None}
    assert (1, "o_proj") in shared
    assert (1, "down_proj") not in shared
    assert (2, "down_proj") in shared
    assert not table_of(tiny_model({"preset": "mot"}), chunks).shared.any()


def test_little_memory_gives_the_same_table() -> None:
    model, chunks = tiny_model({"preset": "shared"}), chunks_of(text_document, image_document)
    assert table_of(model, chunks).equals(table_of(model, chunks, memory=1))


def test_groups_hold_equally_many_documents() -> None:
    groups = split_groups(8, 30, seed=3)
    assert (groups.sum(axis=2) == 4).all()
    assert (groups[:, 0, 8:] == 0).all()
    assert (groups[:, 1, :8] == 0).all()
    assert (groups[:, 2:4, :8].sum(axis=2) == 2).all()
    assert (groups[:, 2] * groups[:, 3] == 0).all()
    both_halves = [1.0] * 8 + [0.0] * 8
    assert (groups[:, 0] + groups[:, 4] == both_halves).all()
    assert (groups[:, 1] + groups[:, 5] == both_halves[::-1]).all()
    assert not np.array_equal(groups[0], groups[1])
    assert np.array_equal(groups, split_groups(8, 30, seed=3))


class Vocabulary:
    image_offset, codebook_size, vision_start_id, separator_id = IMAGE_OFFSET, CODES, 0, None


def packs_with(text: int, image: int) -> list[list[Document]]:
    rng = np.random.default_rng(9)
    made = [text_document(rng) for _ in range(text)] + [image_document(rng) for _ in range(image)]
    documents = [
        Document(Format.TEXT, np.array(ids, dtype=np.int32), np.arange(len(ids)) > 0)
        for ids in map(made.__getitem__, rng.permutation(len(made)))
    ]
    return [documents[begin : begin + 5] for begin in range(0, len(documents), 5)]


def test_sampling_counts_and_modalities() -> None:
    chunks = sample_chunks(packs_with(30, 50), Vocabulary(), documents=24, chunks=4, seed=0)
    assert chunks.documents == 24
    for side, has_image in ((chunks.text, False), (chunks.image, True)):
        assert [len(chunk) for chunk in side] == [6] * 4
        for chunk in side:
            for document in chunk:
                assert len(document.document_lengths) == 1
                assert (document.input_ids >= IMAGE_OFFSET).any() == has_image


def test_scarce_modality_lowers_both() -> None:
    chunks = sample_chunks(packs_with(10, 50), Vocabulary(), documents=24, chunks=4, seed=0)
    assert chunks.documents == 8
    assert [len(chunk) for chunk in chunks.image] == [2] * 4


def test_mixture_without_images_is_refused() -> None:
    with pytest.raises(AnalysisError, match="0 image documents for 4 chunks"):
        sample_chunks(packs_with(30, 0), Vocabulary(), documents=24, chunks=4, seed=0)


def test_chunks_must_split_into_quarters() -> None:
    with pytest.raises(AnalysisError, match="multiple of 4"):
        sample_chunks(packs_with(30, 30), Vocabulary(), documents=24, chunks=6, seed=0)

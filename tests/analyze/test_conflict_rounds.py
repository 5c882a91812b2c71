"""Rounds: the same as all documents at once, until they are reliable, whenever a job was killed; their precision."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analyze.test_conflict import PLENTY, Vocabulary, packs_with
from tests.analyze.tiny import image_document, text_document, tiny_model
from tests.pack.experiment import Experiment
from unix_lib.analyze.conflict import inner_products
from unix_lib.analyze.conflict_cosines import Projection, conflict_table
from unix_lib.analyze.conflict_documents import Chunks, document_rounds, packed_documents
from unix_lib.analyze.conflict_kind import ConflictMeasurement
from unix_lib.analyze.conflict_precision import jackknife, leave_one_out, mean_conflict, pair_means
from unix_lib.analyze.conflict_rounds import measured_in_rounds
from unix_lib.artefacts.saves import saves
from unix_lib.models.routing import Documents
from unix_lib.pack.reader import PackReader

SPLITS = 5


def rounds_of(count: int) -> list[Chunks]:
    """Texts that agree with each other and images that do, a little: each begins with the same tokens."""
    rng = np.random.default_rng(3)

    def chunks(make, first: list[int]) -> list[list[Documents]]:
        return [[Documents.of([first + make(rng)])] for _ in range(4)]

    return [Chunks(chunks(text_document, [5, 6, 7]), chunks(image_document, [8, 9]), 4) for _ in range(count)]


def measurement(reliability: float, **keys: object) -> ConflictMeasurement:
    given = {"mixture": "m", "documents": 24, "chunks": 4, "splits": SPLITS, "round_documents": 4}
    return ConflictMeasurement.model_validate(given | {"reliability": reliability} | keys)


def test_rounds_add_up_to_all_documents(tmp_path: Path) -> None:
    model, rounds = tiny_model({"preset": "unix", "first": 1, "last": 1}), rounds_of(3)
    products, count, reliability = measured_in_rounds(model, rounds, measurement(0.999), PLENTY, tmp_path)
    assert (count, len(products)) == (3, 21) and 0 < reliability < 0.999
    together = Chunks(
        *(
            [[document for one in rounds for document in getattr(one, side)[chunk]] for chunk in range(4)]
            for side in ("text", "image")
        ),
        documents=12,
    )
    for (projection, found), (same, expected) in zip(products, inner_products(model, together, PLENTY), strict=True):
        assert (projection.layer, projection.name) == (same.layer, same.name)
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    # No round more than it takes.
    _, fewer, enough = measured_in_rounds(model, rounds, measurement(reliability / 2), PLENTY, tmp_path / "few")
    assert enough >= reliability / 2 and fewer <= count


def test_a_mixture_without_enough_documents_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, rounds = tiny_model({"preset": "shared"}), rounds_of(1)
    measured_in_rounds(model, rounds, measurement(0.999), PLENTY, tmp_path / "out")
    assert "after 4 documents per modality there are no 4 more" in caplog.text
    caplog.clear()
    measured_in_rounds(model, rounds, measurement(0.999, documents=4), PLENTY, tmp_path / "as many as allowed")
    measured_in_rounds(model, rounds, measurement(1e-9), PLENTY, tmp_path / "reliable")
    assert "there are no" not in caplog.text


@pytest.mark.parametrize("memory", [PLENTY, 1])
def test_killed_in_any_round_it_ends_alike(tmp_path: Path, memory: int) -> None:
    """Killed after its second round, with its newest save damaged or not: the same bytes, from what is whole."""
    model, rounds, settings = tiny_model({"preset": "shared"}), rounds_of(4), measurement(0.999, breakdown=True)
    asked: list[int] = []

    def until(last: int) -> Iterator[Chunks]:
        for number, chunks in enumerate(rounds, start=1):
            if number > last:
                raise KeyboardInterrupt
            asked.append(number)
            yield chunks

    expected, *_ = measured_in_rounds(model, rounds, settings, PLENTY, tmp_path / "whole")
    for damaged in (False, True):
        work = tmp_path / f"killed-{damaged}"
        with pytest.raises(KeyboardInterrupt):
            measured_in_rounds(model, until(2), settings, PLENTY, work)
        assert [number for number, _ in saves(work)] == [2, 1]
        if damaged:
            path = next((work / "step-00002").glob("*.safetensors"))
            path.write_bytes(path.read_bytes()[:-1])
        found, count, _ = measured_in_rounds(model, rounds, settings, memory, work)
        assert count == 4
        for (one, product), (other, same) in zip(found, expected, strict=True):
            assert (one.layer, one.name, one.part) == (other.layer, other.name, other.part)
            assert np.array_equal(product, same)
    # Killed between its last save and its end, it computes nothing again.
    again, *_ = measured_in_rounds(model, [], settings, memory, tmp_path / "whole")
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(again, expected, strict=True))


def test_breakdown_leaves_the_projections_as_they_are() -> None:
    """Heads are parts of a projection, whose products they add up to; norms stand beside."""
    model, (chunks,) = tiny_model({"preset": "unix", "first": 1, "last": 0}, layers=2), rounds_of(1)
    plain, broken = (list(inner_products(model, chunks, PLENTY, breakdown=wanted)) for wanted in (False, True))
    assert conflict_table(plain, 4, 3, seed=1).equals(conflict_table(broken, 4, 3, seed=1))
    of_part = {(one.layer, one.name, one.part): product for one, product in broken if one.part}
    assert {name for _, name, part in of_part if part == "norm"} == {"input_layernorm", "post_attention_layernorm"}
    for name, heads in (("q_proj", 2), ("k_proj", 1), ("v_proj", 1), ("o_proj", 2)):
        (whole,) = (product for one, product in plain if (one.layer, one.name) == (1, name))
        parts = [product for (_, of, part), product in of_part.items() if of == name and part.startswith("head")]
        assert len(parts) == heads
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-6, atol=1e-9)
    assert {layer for layer, *_ in of_part} == {1}  # the other layer shares nothing


def test_rounds_of_documents() -> None:
    packs = packs_with(30, 50)
    rounds = list(document_rounds(packs, Vocabulary(), documents=8, chunks=4, most=24))
    assert [len(one.text) for one in rounds] == [4] * 3 and {one.documents for one in rounds} == {8}
    taken = [chunk for one in rounds for side in (one.text, one.image) for chunk in side]
    assert {len(chunk) for chunk in taken} == {2}
    assert len({document.input_ids.tobytes() for chunk in taken for document in chunk}) == 48  # none comes twice
    assert len(list(document_rounds(packs, Vocabulary(), documents=8, chunks=4, most=1000))) == 3  # what texts allow
    assert not list(document_rounds(packs_with(30, 0), Vocabulary(), documents=8, chunks=4, most=24))


def test_every_epoch_brings_its_own_records(tmp_path: Path) -> None:
    """Two fifths of the prose an epoch, and all scenes: of the first epoch everything, then what is new."""
    made = Experiment(tmp_path)
    parts: list[dict[str, Any]] = [{"source": "scenes"}, {"source": "prose", "weight": 0.4}]
    reader = PackReader(made.pack({"scenes": made.scenes, "prose": made.prose}, parts=parts, epochs=3)[1])
    first, second = reader.packs_per_epoch[:2]
    records = [reader.records(index) for index in range(len(reader))]
    everything = {record for of_pack in records for record in of_pack}
    assert everything > {record for of_pack in records[:first] for record in of_pack}

    def texts(*, every_epoch: bool) -> list[bytes]:
        packs = packed_documents(reader, seed=4, every_epoch=every_epoch)
        return [document.input_ids.tobytes() for pack in packs for document in pack]

    alone, all_of_them = texts(every_epoch=False), texts(every_epoch=True)
    assert all_of_them[: len(alone)] == alone
    assert len(alone) == sum(map(len, records[:first]))
    assert len(all_of_them) == len(everything)  # weights of at most 1: none twice in an epoch
    assert sorted(alone) == sorted(
        document.input_ids.tobytes() for index in range(first) for document in reader.documents(index)
    )
    assert second and len(set(all_of_them)) > len(set(alone))

    parts[0]["weight"] = 2.5  # twice or three times in an epoch
    reader = PackReader(made.pack({"scenes": made.scenes, "prose": made.prose}, parts=parts, epochs=3)[1])
    assert len(texts(every_epoch=True)) == len(everything) < len(texts(every_epoch=False))


def test_pair_means_by_hand() -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(8, 5)) + 1
    found = pair_means(gradients @ gradients.T)
    for left_out in (-1, 2, 7):
        kept = [place for place in range(8) if place != left_out]
        text, image = ([gradients[place] for place in kept if (place < 4) == side] for side in (True, False))
        lengths = [float((gradients[part] ** 2).sum()) / 4 for part in (slice(4), slice(4, None))]
        different = [
            np.mean([one @ other for one in side for other in side if one is not other]) for side in (text, image)
        ]
        across = np.mean([one @ other for one in text for other in image])
        expected = [across / (lengths[0] * lengths[1]) ** 0.5, different[0] / lengths[0], different[1] / lengths[1]]
        assert found[left_out + 1] == pytest.approx(expected)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    """Where the conflict is linear in the chunks: images are one, texts point their way by more or by less."""
    rng = np.random.default_rng(0)
    along = rng.normal(0.5, 0.1, 8)
    table = leave_one_out(
        [
            (
                Projection(0, "v_proj", None),
                np.block([[np.ones((8, 8)), np.tile(along[:, None], 8)], [np.tile(along, (8, 1)), np.ones((8, 8))]]),
            )
        ]
    )
    value, error, freedom = jackknife(table.to_pandas(), mean_conflict)
    assert value == pytest.approx(1 - along.mean())
    assert error == pytest.approx(along.std(ddof=1) / 8**0.5)
    assert freedom == 14

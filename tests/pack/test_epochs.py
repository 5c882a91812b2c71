"""Random choices: they depend on the seed, the epoch and the sample, and on nothing else."""

from typing import Any

import numpy as np
import pytest

from unix_lib.config.pack import MixturePart, PackSettings
from unix_lib.pack.draws import draw_bits, draw_uniform, hash_text
from unix_lib.pack.epochs import HELDOUT, choose_documents, record_uses
from unix_lib.pack.formats import Format
from unix_lib.pack.records import Records
from unix_lib.records.phrases import INSTRUCTIONS, phrases_of

SETTINGS = PackSettings(pack_length=100, seed=218, parts=[MixturePart(source="scenes")])


def choices(names: list[str], epoch: int | str, **settings: Any) -> list[tuple[str, int, int]]:
    """(sample, format, phrase) of an epoch's documents, in the epoch's order; all are images with captions."""
    count = len(names)
    records = Records(
        forms=np.full(count, Format.TEXT_TO_IMAGE, dtype=np.uint8),
        parts=np.zeros(count, dtype=np.int32),
        samples=np.array([hash_text(f"scenes/{name}") for name in names], dtype=np.uint64),
        text_lengths=np.full(count, 3, dtype=np.int32),
        trained_lengths=np.full(count, 3, dtype=np.int32),
        first_trained=np.ones(count, dtype=np.bool_),
        image_counts=np.ones(count, dtype=np.int32),
        turn_counts=np.zeros(count, dtype=np.int32),
        turns=np.zeros(0, dtype=np.bool_),
    )
    chosen = SETTINGS.model_copy(update=settings)
    drawn = choose_documents(records, chosen, epoch, np.array([part.weight for part in chosen.parts]))
    columns = (drawn.records.tolist(), drawn.forms.tolist(), drawn.phrases.tolist())
    return [(names[record], form, phrase) for record, form, phrase in zip(*columns, strict=True)]


NAMES = [f"sample-{number}" for number in range(4000)]


@pytest.mark.parametrize("epoch", [0, 3, HELDOUT])
def test_order_of_records_does_not_matter(epoch: int | str) -> None:
    shuffled = [NAMES[index] for index in np.random.default_rng(1).permutation(len(NAMES))]
    assert choices(NAMES, epoch) == choices(shuffled, epoch)


def test_other_records_do_not_matter() -> None:
    few = choices(NAMES[:100], 0)
    many = choices(NAMES, 0)
    assert few == [choice for choice in many if choice[0] in NAMES[:100]]


def test_epochs_seeds_and_repeats_differ() -> None:
    first = choices(NAMES, 0)
    assert sorted(first) != sorted(choices(NAMES, 1))
    assert sorted(first) != sorted(choices(NAMES, 0, seed=219))
    doubled = choices(NAMES, 0, parts=[MixturePart(source="scenes", weight=2.0)])
    assert len(doubled) == 2 * len(NAMES)
    by_sample: dict[str, list[tuple[int, int]]] = {}
    for name, form, instruction in doubled:
        by_sample.setdefault(name, []).append((form, instruction))
    assert all(len(uses) == 2 for uses in by_sample.values())
    assert sum(one != other for one, other in by_sample.values()) > len(NAMES) / 2


def test_rates_of_directions_and_of_dropout() -> None:
    """Shares within four standard errors of what the config asks for."""
    drawn = choices(NAMES, 0)
    share = {form: sum(choice[1] == form for choice in drawn) / len(drawn) for form in Format}
    for form, expected in (
        (Format.TEXT_TO_IMAGE, 0.8 * 0.9),
        (Format.UNCONDITIONAL, 0.8 * 0.1),
        (Format.IMAGE_TO_TEXT, 0.2),
    ):
        assert abs(share[form] - expected) < 4 * (expected * (1 - expected) / len(drawn)) ** 0.5
    for form, phrases in ((Format.TEXT_TO_IMAGE, len(INSTRUCTIONS)), (Format.IMAGE_TO_TEXT, 1)):
        counts = np.bincount([phrase for _, own, phrase in drawn if own == form])
        assert len(counts) == phrases
        assert (np.abs(counts / counts.sum() - 1 / phrases) < 0.04).all()


def test_phrases_of_all_languages_come_equally_often() -> None:
    drawn = choices(NAMES, 0, instruction_languages=["zh", "de", "en"], packing="sft")
    for form, part in ((Format.TEXT_TO_IMAGE, "instruction"), (Format.IMAGE_QUESTION, "question")):
        counts = np.bincount([phrase for _, own, phrase in drawn if own == form])
        assert len(counts) == len(phrases_of(part, ["zh", "de", "en"])) == 9
        assert (np.abs(counts / counts.sum() - 1 / 9) < 0.04).all()


def test_a_source_has_its_own_share_of_directions() -> None:
    parts = [MixturePart(source="scenes", text_to_image_ratio=0.0)]
    assert {form for _, form, _ in choices(NAMES, 0, parts=parts)} == {Format.IMAGE_TO_TEXT}


@pytest.mark.parametrize("packing", ["none", "pretraining", "sft"])
def test_what_packing_changes_of_the_choices_is_how_captions_are_asked_for(packing: str) -> None:
    plain = choices(NAMES, 2)
    drawn = choices(NAMES, 2, packing=packing)
    from_image = Format.IMAGE_QUESTION if packing == "sft" else Format.IMAGE_TO_TEXT
    asked = [(name, from_image if form == Format.IMAGE_TO_TEXT else form) for name, form, _ in plain]
    assert [(name, form) for name, form, _ in drawn] == asked


@pytest.mark.parametrize(("ratio", "form"), [(1.0, Format.TEXT_TO_IMAGE), (0.0, Format.IMAGE_TO_TEXT)])
def test_extreme_ratios_are_exact(ratio: float, form: Format) -> None:
    drawn = choices(NAMES, 0, text_to_image_ratio=ratio, unconditional_probability=0.0)
    assert {choice[1] for choice in drawn} == {form}


def test_heldout_uses_every_record_once_whatever_its_weight() -> None:
    drawn = choices(NAMES, HELDOUT, parts=[MixturePart(source="scenes", weight=0.25)])
    assert sorted(choice[0] for choice in drawn) == sorted(NAMES)


SAMPLES = np.array([hash_text(name) for name in NAMES], dtype=np.uint64)


@pytest.mark.parametrize("weight", [1.0, 2.0, 3.0])
def test_whole_weights_use_every_record_as_often(weight: float) -> None:
    for epoch in range(5):
        assert set(record_uses(SAMPLES, np.full(len(SAMPLES), weight), 1, epoch).tolist()) == {int(weight)}


@pytest.mark.parametrize("weight", [0.5, 0.25, 1.5])
def test_fractional_weights_come_out_even(weight: float) -> None:
    """Each epoch takes about its share, and after a whole period each record was used equally often."""
    weights = np.full(len(SAMPLES), weight)
    uses = np.stack([record_uses(SAMPLES, weights, 1, epoch) for epoch in range(4)])
    assert set(uses.sum(axis=0).tolist()) == {int(4 * weight)}
    assert (np.abs(uses.mean(axis=1) - weight) < 0.04).all()
    assert uses.max() - uses.min() == 1


def test_draws_are_uniform_and_independent() -> None:
    one, other = draw_uniform(SAMPLES, "one"), draw_uniform(SAMPLES, "other")
    assert one.min() >= 0
    assert one.max() < 1
    histogram = np.histogram(one, bins=20, range=(0, 1))[0]
    expected = len(SAMPLES) / 20
    assert ((histogram - expected) ** 2 / expected).sum() < 50  # chi-square, 19 degrees of freedom: p = 1e-4
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / len(SAMPLES) ** 0.5
    bits = draw_bits(SAMPLES, "bits")
    set_share = np.array([((bits >> np.uint64(place)) & np.uint64(1)).mean() for place in range(64)])
    assert (np.abs(set_share - 0.5) < 4.5 * 0.5 / len(SAMPLES) ** 0.5).all()

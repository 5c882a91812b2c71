"""The pack stage from records on disk to packs on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerFast

from tests.artefacts.damage import DAMAGES, damage
from tests.pack.experiment import (
    IMAGE_CODES,
    Experiment,
    Source,
    caption,
    conversation_record,
    image_record,
    text_record,
    write_source,
)
from unix_lib.artefacts.manifest import Manifest, open_artefact
from unix_lib.pack import make
from unix_lib.pack.make import make_pack
from unix_lib.pack.planner import PackError
from unix_lib.pack.reader import PackReader
from unix_lib.tokenizers.vocabulary import Vocabulary


def sources_of(experiment: Experiment) -> dict[str, Source]:
    return {"scenes": experiment.scenes, "prose": experiment.prose}


@pytest.fixture(scope="module")
def packed(experiment: Experiment) -> tuple[Manifest, Path]:
    return experiment.pack(sources_of(experiment))


def documents(reader: PackReader, first: int = 0, stop: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids and mask of every document of some packs."""
    for index in range(first, len(reader) if stop is None else stop):
        pack = reader[index]
        borders = np.cumsum(pack.document_lengths)[:-1]
        yield from zip(np.split(pack.input_ids, borders), np.split(pack.loss_mask, borders), strict=True)


def text_of(ids: np.ndarray, tokenizer: PreTrainedTokenizerFast) -> str:
    return str(tokenizer.decode(ids[ids < len(tokenizer)].tolist()))


def test_every_record_is_there_once_and_whole(
    experiment: Experiment,
    packed: tuple[Manifest, Path],
    tokenizer: PreTrainedTokenizerFast,
    vocabulary: Vocabulary,
) -> None:
    reader = PackReader(packed[1])
    start = 0
    for packs in reader.packs_per_epoch:
        texts = []
        for ids, loss_mask in documents(reader, start, start + packs):
            vocabulary.check(ids)
            assert ids[-1] == vocabulary.eos_id
            answers = 2 if "Is there a dog?" in text_of(ids, tokenizer) else 1
            assert (ids == vocabulary.eos_id).sum() == answers  # every answer is ended, and every document
            assert not loss_mask[0]
            assert loss_mask[-1]
            image = vocabulary.is_image(ids)
            if image.any():  # no image is cut: its codes stand together between the markers
                first = int(image.argmax())
                assert image.sum() == IMAGE_CODES
                assert image[first : first + IMAGE_CODES].all()
                assert ids[first - 1] == vocabulary.vision_start_id
                assert ids[first + IMAGE_CODES] == vocabulary.vision_end_id
            texts.append(text_of(ids, tokenizer))
        start += packs
        prose = [record["text"] for record in experiment.prose_train]
        assert sorted(text for text in texts if text.startswith("Number")) == sorted(f"{t}<|endoftext|>" for t in prose)
        pictures = [text for text in texts if "picture " in text.split("?")[0]]
        assert len(set(pictures)) == len(pictures) == 30
        unconditional = [text for text in texts if text.startswith("<unconditional>")]
        others = "\n".join(set(texts) - set(pictures))
        captioned = sum(f"{caption(number)} " in others or f"{caption(number)}<" in others for number in range(60))
        assert captioned + len(unconditional) == 60
        assert len(texts) == 60 + 30 + 40
    assert start == len(reader)


def test_packs_keep_to_their_length(packed: tuple[Manifest, Path]) -> None:
    reader = PackReader(packed[1])
    for pack in (reader[index] for index in range(len(reader))):
        assert len(pack.input_ids) == len(pack.loss_mask) == pack.document_lengths.sum() <= 100
        assert pack.document_lengths.min() > 0


def test_manifest_counts_what_the_files_hold(packed: tuple[Manifest, Path], vocabulary: Vocabulary) -> None:
    manifest, folder = packed
    reader = PackReader(folder)
    rows = {entry.path: entry.rows for entry in manifest.files}
    assert rows["epoch-000.arrow"] == reader.packs_per_epoch[0]
    assert rows["heldout.arrow"] == len(reader.heldout())
    packs = [reader[index] for index in range(reader.packs_per_epoch[0])]
    ids = np.concatenate([pack.input_ids for pack in packs])
    facts = manifest.facts["files"]["epoch-000.arrow"]
    assert facts["tokens"] == len(ids)
    assert facts["image_tokens"] == vocabulary.is_vision(ids).sum() == 90 * (IMAGE_CODES + 1)
    assert facts["text_tokens"] == len(ids) - facts["image_tokens"]
    assert facts["trained_tokens"] == sum(pack.loss_mask.sum() for pack in packs)
    assert facts["documents"] == sum(facts["formats"].values()) == sum(len(pack.document_lengths) for pack in packs)
    assert facts["fill"] == pytest.approx(len(ids) / (len(packs) * 100), abs=1e-6)
    assert open_artefact(folder).digest == manifest.digest


def test_heldout_holds_every_heldout_record_once(
    packed: tuple[Manifest, Path], tokenizer: PreTrainedTokenizerFast
) -> None:
    texts = [text_of(ids, tokenizer) for ids, _ in documents(PackReader(packed[1]).heldout())]
    assert len(texts) == 6 + 5
    assert sum(text.startswith("Number 900") for text in texts) == 5


def test_two_runs_are_identical_and_the_order_of_records_does_not_show(
    experiment: Experiment, packed: tuple[Manifest, Path], tmp_path: Path
) -> None:
    manifest, folder = packed
    job = experiment.pack_job(sources_of(experiment))
    (folder / "manifest.json").unlink()
    assert make_pack(job).digest == manifest.digest

    shuffled = [experiment.scenes_train[i] for i in np.random.default_rng(0).permutation(len(experiment.scenes_train))]
    heldout = [image_record(9000 + i) for i in range(6)][::-1]
    scenes = write_source(tmp_path, "scenes", shuffled, heldout)
    for artefact in (scenes.records, scenes.codes):  # the same names in the recipe, other orders in the files
        assert artefact is not None
        (tmp_path / artefact).rename(experiment.results / f"{artefact}-shuffled")
    scenes = Source(f"{scenes.records}-shuffled", f"{scenes.codes}-shuffled")
    again, _ = experiment.pack(sources_of(experiment) | {"scenes": scenes})
    hashes = [{file.path: file.sha256 for file in m.files if file.path.endswith(".arrow")} for m in (manifest, again)]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 3


def test_another_seed_gives_other_packs(experiment: Experiment, packed: tuple[Manifest, Path]) -> None:
    other, _ = experiment.pack(sources_of(experiment), seed=219)
    assert other.files[0].sha256 != packed[0].files[0].sha256


def test_weights_and_kinds(experiment: Experiment) -> None:
    parts = [
        {"source": "scenes", "weight": 2.0, "kinds": ["image_text"]},
        {"source": "prose", "weight": 0.5},
    ]
    manifest, _ = experiment.pack(sources_of(experiment), parts=parts)
    counts = [manifest.facts["files"][f"epoch-00{epoch}.arrow"]["formats"] for epoch in range(2)]
    for count in counts:
        assert count["image_conversation"] == 0
        assert count["text_to_image"] + count["unconditional"] + count["image_to_text"] == 120
    assert counts[0]["text"] + counts[1]["text"] == 40
    assert 8 <= counts[0]["text"] <= 32


def test_bad_records_are_counted_and_the_rest_goes_on(experiment: Experiment) -> None:
    bad = [
        image_record(1) | {"sample_id": "short", "image_codes": [1, 2]},
        image_record(2) | {"sample_id": "high", "image_codes": [1, 2, 3, 99]},
        image_record(3) | {"sample_id": "silent", "text": ""},
        text_record(4) | {"sample_id": "long", "text": "words " * 2000},
        image_record(5) | {"sample_id": "set aside", "image_codes": None, "image_ids": ["f" * 32]},
        conversation_record(6) | {"sample_id": "talk", "image_codes": None, "image_ids": ["f" * 32]},
    ]
    heldout = [image_record(9001), image_record(9002) | {"sample_id": "held", "image_codes": None}]
    source = write_source(experiment.results, "bad", [image_record(0), *bad], heldout)
    manifest, folder = experiment.pack({"bad": source})
    assert manifest.rejected == {
        "code_out_of_range": 1,
        "empty_text": 1,
        "longer_than_pack": 1,
        "no_image_codes": 3,
        "wrong_code_count": 1,
    }
    rejected = pq.read_table(folder / "rejected.parquet").to_pylist()
    assert {row["sample_id"]: row["origin"] for row in rejected} == {
        "short": "bad/train",
        "high": "bad/train",
        "silent": "bad/train",
        "long": "bad/train",
        "set aside": "bad/train",
        "talk": "bad/train",
        "held": "bad/heldout",
    }
    assert manifest.facts["files"]["epoch-000.arrow"]["documents"] == 1
    assert len(PackReader(folder).heldout()) == 1


def test_a_mixture_without_usable_records_is_refused(experiment: Experiment) -> None:
    with pytest.raises(PackError, match=r"pack\.mixtures\.mixed: none of its training records is usable"):
        experiment.pack({"prose": experiment.prose}, parts=[{"source": "prose", "kinds": ["conversation"]}])


def test_a_mixture_of_documents_that_fit_no_pack_is_refused(experiment: Experiment) -> None:
    told = r"pack\.mixtures\.mixed: no training pack, 40 documents are longer than pack\.length 2; raise pack\.length"
    with pytest.raises(PackError, match=told):
        experiment.pack({"prose": experiment.prose}, pack_length=2)


def test_a_mixture_without_heldout_records_has_no_heldout_packs(experiment: Experiment) -> None:
    source = write_source(experiment.results, "trained", [conversation_record(1)])
    _, folder = experiment.pack({"trained": source}, epochs=1)
    assert len(PackReader(folder)) == 1
    assert len(PackReader(folder).heldout()) == 0


def killed_at_the_third_epoch(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str, list[str]]:
    """A job that was killed, the digest it is to end with, and the files it writes, those to come too."""
    sources = {"scenes": experiment.scenes}
    undisturbed, folder = experiment.pack(sources, epochs=3)
    for path in folder.iterdir():
        path.unlink()
    job = experiment.pack_job(sources, epochs=3)
    write, written = make.write_packs, list[str]()

    def killed_at_the_third(path: Path, *arguments: Any, **keywords: Any) -> Any:
        written.append(path.name)
        if len(written) == 3:
            (path.parent / f".{path.name}.abc.part").write_bytes(b"half a file")
            raise KeyboardInterrupt
        return write(path, *arguments, **keywords)

    monkeypatch.setattr(make, "write_packs", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make_pack(job)
    assert not (folder / "manifest.json").exists()
    return job, undisturbed.digest, written


def test_a_killed_job_keeps_its_finished_epochs(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    job, digest, written = killed_at_the_third_epoch(experiment, monkeypatch)
    assert make_pack(job).digest == digest
    assert written == ["epoch-000.arrow", "epoch-001.arrow", "epoch-002.arrow", "epoch-002.arrow", "heldout.arrow"]
    assert not [path.name for path in job.folder.iterdir() if path.name.endswith(".part")]
    assert not job.work.exists()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", ["facts.json", "hashes.json", "epoch-000.arrow"])
def test_a_damaged_epoch_is_packed_again(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, file: str, how: str
) -> None:
    job, digest, written = killed_at_the_third_epoch(experiment, monkeypatch)
    folder = job.folder if file.endswith(".arrow") else job.work / "epoch-000.arrow"
    damage(folder / file, how)
    assert make_pack(job).digest == digest
    assert written[3:] == ["epoch-000.arrow", "epoch-002.arrow", "heldout.arrow"]
    assert "damaged, and computed again: " in caplog.text

"""The pack stage from records on disk to packs on disk."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerFast

from tests.artefacts.damage import DAMAGES, damage
from tests.jobs.making import make_job
from tests.pack.experiment import (
    IMAGE_CODES,
    Experiment,
    Source,
    caption,
    conversation_record,
    image_id_of,
    image_record,
    text_record,
    write_source,
)
from unix_lib.artefacts.manifest import Manifest, open_artefact
from unix_lib.artefacts.sealed import sealed_folder
from unix_lib.config.strict import ConfigError
from unix_lib.pack import make, splits
from unix_lib.pack.make import COUNTS, make_pack
from unix_lib.pack.planner import PackError
from unix_lib.pack.reader import PackReader
from unix_lib.records.phrases import phrases_of
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
    expected: dict[str, Counter[str]] = {"scenes": Counter(), "prose": Counter()}
    for document, loss_mask in documents(reader, stop=len(packs)):
        seen = int(vocabulary.is_vision(document).sum())  # of the two sources one has images in all its records
        counts = expected["scenes" if seen else "prose"]
        counts.update(
            documents=1, text_tokens=len(document) - seen, image_tokens=seen, trained_tokens=int(loss_mask.sum())
        )
    assert facts["parts"] == expected
    assert manifest.facts["weights"] == {"scenes": 1.0, "prose": 1.0}
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
    before = [(ids.tolist(), mask.tolist()) for ids, mask in documents(PackReader(folder))]
    (folder / "manifest.json").unlink()
    assert make_pack(job).digest == manifest.digest

    shuffled = [experiment.scenes_train[i] for i in np.random.default_rng(0).permutation(len(experiment.scenes_train))]
    heldout = [image_record(9000 + i) for i in range(6)][::-1]
    scenes = write_source(tmp_path, "scenes", shuffled, heldout)
    for artefact in (scenes.records, scenes.codes):  # the same names in the recipe, other orders in the files
        assert artefact is not None
        (tmp_path / artefact).rename(experiment.results / f"{artefact}-shuffled")
    scenes = Source(f"{scenes.records}-shuffled", f"{scenes.codes}-shuffled")
    again, other = experiment.pack(sources_of(experiment) | {"scenes": scenes})
    assert again.digest != manifest.digest  # tokens are stored in the order of the records ...
    assert [(ids.tolist(), mask.tolist()) for ids, mask in documents(PackReader(other))] == before  # ... packs are not
    heldout_packs = [list(documents(PackReader(each).heldout())) for each in (folder, other)]
    assert [ids.tolist() for ids, _ in heldout_packs[0]] == [ids.tolist() for ids, _ in heldout_packs[1]]


def test_another_seed_gives_other_packs(experiment: Experiment, packed: tuple[Manifest, Path]) -> None:
    other, _ = experiment.pack(sources_of(experiment), seed=219)
    plans = [{file.path: file.sha256 for file in each.files}["epoch-000.arrow"] for each in (other, packed[0])]
    assert plans[0] != plans[1]


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


def shares_of(manifest: Manifest, epoch: int) -> dict[str, float]:
    parts = manifest.facts["files"][f"epoch-{epoch:03d}.arrow"]["parts"]
    tokens = {source: counts["text_tokens"] + counts["image_tokens"] for source, counts in parts.items()}
    return {source: own / sum(tokens.values()) for source, own in tokens.items()}


def test_parts_give_the_tokens_and_shares_that_they_are_asked_for(
    experiment: Experiment, caplog: pytest.LogCaptureFixture
) -> None:
    """Over a whole period: in one epoch which records a fraction takes is drawn."""
    once, _ = experiment.pack(sources_of(experiment), epochs=1)
    own = once.facts["files"]["epoch-000.arrow"]["parts"]["prose"]["text_tokens"]
    parts = [{"source": "scenes", "share": 0.25}, {"source": "prose", "tokens": 3 * own}]
    manifest, _ = experiment.pack(sources_of(experiment), parts=parts, epochs=8)
    assert manifest.facts["weights"]["prose"] == pytest.approx(3)
    mean = np.mean([shares_of(manifest, epoch)["scenes"] for epoch in range(8)])
    assert mean == pytest.approx(0.25, abs=0.02)
    assert "pack.mixtures.mixed: each record of source prose is used 3 times an epoch" in caplog.text
    parts = [{"source": "scenes", "share": 0.5}, {"source": "prose", "share": 0.5}]
    manifest, _ = experiment.pack(sources_of(experiment), parts=parts, epochs=8)
    assert manifest.facts["weights"]["prose"] == 1.0 > manifest.facts["weights"]["scenes"]  # prose has fewer tokens
    assert np.mean([shares_of(manifest, epoch)["prose"] for epoch in range(8)]) == pytest.approx(0.5, abs=0.02)


def test_a_source_without_usable_records_is_said_to_be_one(
    experiment: Experiment, caplog: pytest.LogCaptureFixture
) -> None:
    empty = write_source(experiment.results, "empty", [text_record(1) | {"text": " "}])
    sources = {"prose": experiment.prose, "empty": empty}
    manifest, _ = experiment.pack(sources)
    assert "pack.mixtures.mixed: no training record of source empty is usable" in caplog.text
    assert "nothing is text-to-image" in caplog.text
    assert manifest.facts["files"]["epoch-000.arrow"]["parts"]["empty"] == dict.fromkeys(COUNTS, 0)
    with pytest.raises(ConfigError, match="source empty is to give tokens and has no usable training record"):
        experiment.pack(sources, parts=[{"source": "prose"}, {"source": "empty", "tokens": 100}])


@pytest.mark.parametrize("packing", ["pretraining", "sft"])
def test_images_without_captions_are_unconditional_documents(
    experiment: Experiment, tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, packing: str
) -> None:
    rows = [image_record(number) | {"text": None if number < 12 else ""} for number in range(14)]
    alone = write_source(experiment.results, f"alone-{packing}", rows[:10] + rows[12:], rows[10:12])
    settings = {"unconditional_probability": 0.0, "text_to_image_ratio": 0.0, "packing": packing}
    manifest, folder = experiment.pack({f"alone-{packing}": alone}, **settings)
    counts = manifest.facts["files"]["epoch-000.arrow"]["parts"][f"alone-{packing}"]
    assert counts["documents"] == 10  # an empty caption is a fault, none is not
    whole = PackReader(folder)
    for reader, expected in ((whole, 10), (whole.heldout(), 2)):
        kept = list(documents(reader, 0, reader.packs_per_epoch[0]))
        assert len(kept) == expected
        for ids, mask in kept:
            assert text_of(ids, tokenizer).startswith("<unconditional>")
            assert vocabulary.is_image(ids).sum() == IMAGE_CODES == mask.sum() - 2


def test_without_packing_every_document_is_a_pack(experiment: Experiment, packed: tuple[Manifest, Path]) -> None:
    manifest, folder = experiment.pack(sources_of(experiment), packing="none")
    reader = PackReader(folder)
    assert reader.packs_per_epoch == [130, 130]
    assert all(len(pack.document_lengths) == 1 for pack in (reader[index] for index in range(len(reader))))
    alone, together = (
        sorted((ids.tolist(), mask.tolist()) for ids, mask in documents(PackReader(each)))
        for each in (folder, packed[1])
    )
    assert alone == together  # the same documents, otherwise arranged
    facts = [each.facts["files"]["epoch-000.arrow"] for each in (manifest, packed[0])]
    assert [own["tokens"] for own in facts] == [facts[0]["tokens"]] * 2
    assert facts[0]["fill"] < facts[1]["fill"]


def test_sft_asks_for_captions_and_trains_answers(
    experiment: Experiment, tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary
) -> None:
    manifest, folder = experiment.pack(
        {"scenes": experiment.scenes}, packing="sft", text_to_image_ratio=0.5, instruction_languages=["de"]
    )
    counts = manifest.facts["files"]["epoch-000.arrow"]["formats"]
    assert counts["image_to_text"] == 0 < counts["image_question"]
    questions = phrases_of("question", ["de"])
    asked = 0
    for ids, loss_mask in documents(PackReader(folder)):
        prompt = text_of(ids[~loss_mask], tokenizer).replace("<|vision_start|><|vision_end|>", "")
        if prompt.strip() in questions:
            asked += 1
            assert text_of(ids[loss_mask], tokenizer).startswith("a ")
        elif vocabulary.is_image(ids[loss_mask]).any() and "<unconditional>" not in prompt:
            assert any(
                prompt.removesuffix("<|vision_start|>").endswith(each) for each in phrases_of("instruction", ["de"])
            )
    assert asked == sum(
        manifest.facts["files"][f"epoch-00{epoch}.arrow"]["formats"]["image_question"] for epoch in (0, 1)
    )


def test_the_published_template_on_disk(experiment: Experiment, tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "system", "content": "Be kind."}, *conversation_record(3)["messages"]]
    source = write_source(experiment.results, "talks", [conversation_record(3) | {"messages": messages}])
    seen = set()
    _, folder = experiment.pack({"talks": source}, packing="sft", template="published", epochs=20)
    for ids, loss_mask in documents(PackReader(folder)):
        text, trained = text_of(ids, tokenizer), text_of(ids[loss_mask], tokenizer)
        runs = re.fullmatch(
            r"<\|vision_start\|><\|vision_end\|>(\n+)Be kind\.(\n+)What is in picture 3\?(\n+)a yellow circle number 3"
            r"(\n+)Is there a dog\?(\n+)no<\|endoftext\|>",
            text,
        )
        assert runs is not None
        assert set(map(len, runs.groups())) <= {1, 2, 3}
        assert trained == f"{runs[3]}a yellow circle number 3{runs[5]}no<|endoftext|>"
        seen.add(tuple(map(len, runs.groups())))
    assert len(seen) > 10  # every epoch draws anew


def test_the_size_of_the_image_is_told_before_it_is_asked_for(
    experiment: Experiment, tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary
) -> None:
    _, folder = experiment.pack(
        {"scenes": experiment.scenes}, image_size_prefix=True, image_size=64, text_to_image_ratio=1.0, epochs=1
    )
    prompts = [
        text_of(ids[~loss_mask], tokenizer)
        for ids, loss_mask in documents(PackReader(folder))
        if vocabulary.is_image(ids[loss_mask]).any()
    ]
    told = "Image Size: Width is 64 Height is 64."
    assert len(prompts) == 60
    assert all(
        prompt.startswith(f"{told} <unconditional>")
        if "<unconditional>" in prompt
        else re.match(rf"a .* {told} [A-Z]", prompt)
        for prompt in prompts
    )


def test_bad_records_are_counted_and_the_rest_goes_on(experiment: Experiment) -> None:
    shown = image_id_of(image_record(0)["image_codes"])
    bad = [
        image_record(1) | {"sample_id": "short", "image_codes": [1, 2]},
        image_record(2) | {"sample_id": "high", "image_codes": [1, 2, 3, 99]},
        text_record(4) | {"sample_id": "long", "text": "words " * 2000},
        image_record(5) | {"sample_id": "set aside", "image_codes": None, "image_ids": ["f" * 32]},
        conversation_record(6) | {"sample_id": "talk", "image_codes": None, "image_ids": ["f" * 32]},
        conversation_record(7) | {"sample_id": "one of two", "image_codes": None, "image_ids": [shown, "f" * 32]},
        conversation_record(8) | {"sample_id": "null", "image_codes": None, "image_ids": [shown, None]},
    ]
    heldout = [image_record(9001), image_record(9002) | {"sample_id": "held", "image_codes": [1]}]
    source = write_source(experiment.results, "bad", [image_record(0), *bad], heldout)
    manifest, folder = experiment.pack({"bad": source})
    assert manifest.rejected == {
        "code_out_of_range": 1,
        "longer_than_pack": 1,
        "no_image_codes": 4,
        "wrong_code_count": 2,
    }
    rejected = pq.read_table(folder / "rejected.parquet").to_pylist()
    assert {row["sample_id"]: row["origin"] for row in rejected} == {
        "short": "bad/train",
        "high": "bad/train",
        "long": "bad/train",
        "set aside": "bad/train",
        "talk": "bad/train",
        "one of two": "bad/train",
        "null": "bad/train",
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
    """A job that was killed, the digest it is to end with, and what it looks through, to come too."""
    sources = {"scenes": experiment.scenes}
    undisturbed, folder = experiment.pack(sources, epochs=3)
    for path in folder.iterdir():
        path.unlink()
    job = experiment.pack_job(sources, epochs=3)
    write, seen = make.write_plan, list[str]()

    def killed_at_the_third(path: Path, *arguments: Any, **keywords: Any) -> None:
        if path.name == "epoch-002.arrow":
            (path.parent / f".{path.name}.abc.part").write_bytes(b"half a file")
            raise KeyboardInterrupt
        write(path, *arguments, **keywords)

    def counted(folder: Path, **also: Any) -> Any:
        seen.append(folder.name)
        return sealed_folder(folder, **also)

    monkeypatch.setattr(make, "write_plan", killed_at_the_third)
    monkeypatch.setattr(splits, "sealed_folder", counted)
    with pytest.raises(KeyboardInterrupt):
        make_pack(job)
    assert not (folder / "manifest.json").exists()
    monkeypatch.setattr(make, "write_plan", write)
    return job, undisturbed.digest, seen


def test_a_killed_job_looks_through_nothing_again(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    job, digest, seen = killed_at_the_third_epoch(experiment, monkeypatch)
    assert make_pack(job).digest == digest
    assert seen == ["train-codes-00000", "train-text-00000", "heldout-codes-00000", "heldout-text-00000"]
    assert not [path.name for path in job.folder.iterdir() if path.name.endswith(".part")]
    assert not job.work.exists()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(
    "file",
    [
        *(f"train-text-00000/{name}" for name in ("records.arrow", "ids.parquet", "rejected.parquet", "images.npy")),
        *(f"train-codes-00000/{name}" for name in ("image_ids.parquet", "faults.json", "hashes.json")),
        "train-codes-00000.bin",
        "train-text-00000.bin",
    ],
)
def test_what_is_damaged_is_looked_through_again(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, file: str, how: str
) -> None:
    job, digest, seen = killed_at_the_third_epoch(experiment, monkeypatch)
    damage((job.folder if file.endswith(".bin") else job.work) / file, how)
    assert make_pack(job).digest == digest
    assert seen.count(file.partition("/")[0].removesuffix(".bin")) == 2
    assert "damaged, and computed again: " in caplog.text


def test_parts_of_sources_are_packed_like_a_whole(experiment: Experiment) -> None:
    """A source in three parts, images in other parts than the records that show them."""
    rows = [image_record(number) for number in range(30)] + [conversation_record(number) for number in range(15)]
    whole = write_source(experiment.results, "whole", rows, [image_record(9001), image_record(9002)])
    records = [write_source(experiment.results, f"part-{n}", rows[n::3]) for n in range(3)]
    codes = [write_source(experiment.results, f"images-{n}", rows[n::2]).codes for n in range(2)]
    held = write_source(experiment.results, "held", [], [image_record(9001), image_record(9002)])
    _, folder = experiment.pack({"whole": whole})
    job = experiment.pack_job({"whole": whole})
    inputs = job.recipe.inputs | {
        "tokens:whole": [experiment.tokens(source, {}) for source in (*records, held)],
        "codes:whole": [*codes, held.codes],
    }
    cut = make_job(experiment.results, "pack", "cut", "packs", job.settings, inputs)
    cut.make()
    for split in (PackReader, lambda each: PackReader(each).heldout()):
        one, other = (
            [(ids.tolist(), mask.tolist()) for ids, mask in documents(split(f))] for f in (folder, cut.folder)
        )
        assert one == other
    assert len(list(cut.folder.glob("train-text-*.bin"))) == 4

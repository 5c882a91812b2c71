"""Ranked captions: which stand against each other, how probable a checkpoint finds them, and the scores."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import SmallExperiment, finished, made_by_a_test
from tests.jobs.making import make_job
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.settings import RankingSettings
from unix_lib.benchmarks.tables import RANKINGS, RANKINGS_FILE
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.evaluate import ScoringSettings
from unix_lib.evaluate.benchmark import Answers
from unix_lib.evaluate.caption_ranking import score_rankings
from unix_lib.generate.caption_rankings import Captioned, candidates
from unix_lib.generate.log_probabilities import sequence_log_probabilities
from unix_lib.pack.formats import Format
from unix_lib.pack.sequences import FixedParts
from unix_lib.records.schema import CODES
from unix_lib.records.shards import ShardWriter, iterate_rows

FOUND = [Captioned(f"s{number}", f"i{number // 2}", f"caption {number % 5}") for number in range(12)]


def test_a_caption_stands_against_others_of_other_images_with_other_words() -> None:
    rows = list(candidates(FOUND, FOUND, 3, seed=1))
    assert len(rows) == 3 * len(FOUND)
    for place, each in enumerate(FOUND):
        shown = rows[3 * place : 3 * place + 3]
        assert [row["caption"] for row in shown if row["own"]] == [each.caption]
        assert len({row["caption"] for row in shown}) == 3
        of_image = {other.caption for other in FOUND if other.image_id == each.image_id}
        assert all(row["own"] or row["caption"] not in of_image for row in shown)
    assert len({tuple(row["own"] for row in rows[begin : begin + 3]) for begin in range(0, len(rows), 3)}) == 3
    assert rows == list(candidates(FOUND, FOUND, 3, seed=1)) != list(candidates(FOUND, FOUND, 3, seed=2))
    # An image is asked about alike whatever others there are with the same captions.
    assert list(candidates(FOUND[::-1], FOUND, 3, seed=1))[-3:] == rows[:3]
    assert list(candidates(FOUND, FOUND, 5, seed=1)) == []  # too few others
    # Of few images that are asked about the others' captions are candidates too.
    assert list(candidates(FOUND[:1], FOUND, 3, seed=1)) == rows[:3]


@pytest.fixture(scope="module")
def codes(small: SmallExperiment) -> str:
    """Codes of all of the source's images but one, as if it had been set aside."""
    folder = small.results / made_by_a_test("encode", "shapes").artefact
    rng, seen = np.random.default_rng(0), set[str]()
    for split in ("train", "heldout"):
        with ShardWriter(folder, split, CODES) as writer:
            for row in iterate_rows(small.results / small.records, split):
                (image,) = row["image_ids"]
                if image not in seen:
                    writer.write({"image_id": image, "image_codes": rng.integers(0, 64, 64).tolist()})
                seen.add(image)
    recipe = finished(small.results, "encode", "shapes")
    assert recipe.artefact == f"encode/{folder.name}"
    return recipe.artefact


def ranking(small: SmallExperiment, codes: str, **settings: Any) -> Any:
    asked = RankingSettings(**({"split": "heldout", "limit": 6, "candidates": 3, "seed": 218} | settings))
    inputs = {"checkpoint": small.checkpoint, "records": [small.records], "codes": [codes]}
    return make_job(small.results, "generate", "tiny-step-00000-captions", "caption_ranking", asked, inputs)


def test_a_checkpoint_says_how_probable_each_candidate_is(small: SmallExperiment, codes: str) -> None:
    job = ranking(small, codes)
    job.make()
    table = pq.read_table(job.folder / RANKINGS_FILE)
    assert table.schema.equals(RANKINGS)
    rows = table.to_pylist()
    assert len(rows) == 6 * 3
    checkpoint = Checkpoint(small.results / small.checkpoint, None, 8)
    of_image = {row["image_id"]: row["image_codes"] for row in iterate_rows(small.results / codes, "heldout")}
    fixed = FixedParts.of(checkpoint.tokenizer, checkpoint.vocabulary)
    for row in rows[:4]:
        text = np.array(checkpoint.tokenizer(row["caption"])["input_ids"], dtype=np.int32)
        ids, mask = fixed.document(
            Format.IMAGE_TO_TEXT, 0, 0, text, np.ones(len(text), np.uint8), np.array([of_image[row["image_id"]]])
        )
        assert mask.sum() == row["tokens"] == len(text) + 1
        begin = int(np.argmax(mask))
        (wanted,) = sequence_log_probabilities(checkpoint.model, [ids[:begin].tolist()], [ids[begin:].tolist()])
        assert row["log_likelihood"] == pytest.approx(wanted, abs=1e-4)


def test_scores_are_shares_of_images_and_chance_is_that_of_a_blind_guesser(small: SmallExperiment, codes: str) -> None:
    job = ranking(small, codes)
    job.make()
    rows = pq.read_table(job.folder / RANKINGS_FILE).to_pylist()
    result = score_rankings(answers_of(job))
    wanted = np.mean(
        [max(rows[begin : begin + 3], key=lambda row: row["log_likelihood"])["own"] for begin in range(0, len(rows), 3)]
    )
    scores = {score.metric: score for score in result.scores}
    assert (scores["accuracy"].estimate.value, scores["accuracy"].estimate.n) == (wanted, 6)
    assert scores["accuracy"].chance == pytest.approx(1 / 3)
    assert {"accuracy_minus_chance", "accuracy_per_token"} <= scores.keys()
    assert result.protocol == "captions ranked by log-likelihood, 3 candidates"
    assert [row["value"] for row in result.samples] == [float(not row["reason"]) for row in result.samples]


def answers_of(job: Any) -> Answers[ScoringSettings]:
    settings = ScoringSettings(scorer="caption_ranking", scorer_version=1, chance=1 / 3)
    return Answers(
        name="captions", settings=settings, folder=job.folder, source=None, bootstrap_samples=100, work=job.work
    )


def test_what_cannot_be_ranked_is_counted_and_nothing_at_all_is_an_error(small: SmallExperiment, codes: str) -> None:
    everything = ranking(small, codes, split="all", limit=None)
    manifest = everything.make()
    records = [
        *iterate_rows(small.results / small.records, "heldout"),
        *iterate_rows(small.results / small.records, "train"),
    ]
    captions = sum(row["kind"] == "image_text" for row in records)
    assert pq.read_metadata(everything.folder / RANKINGS_FILE).num_rows == 3 * captions
    assert manifest.facts["set_aside"] == {}
    few = ranking(small, codes, candidates=1000)
    assert few.make().facts["set_aside"] == {"too few other captions": 6}
    with pytest.raises(
        BenchmarkError, match=r"no image with a caption that can be ranked \(6 too few other captions\)"
    ):
        score_rankings(answers_of(few))
    folder = small.results / made_by_a_test("encode", "none").artefact
    for split in ("train", "heldout"):
        with ShardWriter(folder, split, CODES):
            pass
    none = ranking(small, finished(small.results, "encode", "none").artefact)
    assert none.make().facts["set_aside"] == {"its image was not encoded": 6}
    assert read_manifest(none.folder).facts["run"] == "tiny"
    assert pq.read_table(none.folder / RANKINGS_FILE).equals(pa.Table.from_pylist([], schema=RANKINGS))

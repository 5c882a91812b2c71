"""A checkpoint's answers: what is kept, what is computed again after a kill or damage, and what is refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from lm_eval.api.instance import Instance

from tests.evaluate.small import FACTS, SmallExperiment
from tests.images.pictures import png_that_claims
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import ArtefactError, open_artefact, read_manifest
from unix_lib.artefacts.recipe import RecipeError
from unix_lib.benchmarks.cloze import read_cloze
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.tables import ANSWERS, IMAGES, LIKELIHOODS
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.generate import answers, benchmark_images, likelihoods
from unix_lib.generate.benchmark_images import image_seed
from unix_lib.generate.log_probabilities import sequence_log_probabilities
from unix_lib.generate.members import checkpoint_of
from unix_lib.images.files import BadImage
from unix_lib.tokenizers.text import encode_texts


@pytest.fixture(autouse=True)
def nothing_answered_yet(small: SmallExperiment) -> Iterator[None]:
    small.forget()
    yield


def rows(job: Any, name: str) -> list[dict[str, Any]]:
    return pq.read_table(job.folder / name).to_pylist()


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, die_after: int | None = None) -> list[int]:
    """Sizes of the batches that a function is given from now on; dies before the one after `die_after`."""
    original, calls = getattr(module, name), []

    def noted(checkpoint: Checkpoint, batch: Any, *others: Any) -> Any:
        if len(calls) == die_after:
            raise KeyboardInterrupt
        calls.append(len(batch))
        return original(checkpoint, batch, *others)

    monkeypatch.setattr(module, name, noted)
    return calls


def test_a_group_makes_an_artefact_for_each_benchmark(small: SmallExperiment) -> None:
    evaluation = small.evaluation("geneval", "pope", "cloze")
    manifest = evaluation.group.make()
    assert {entry.path for entry in manifest.files} == {"recipe.json"}
    made = {name: open_artefact(member.folder) for name, member in evaluation.members.items()}
    assert manifest.facts["answers"] == {each.artefact: each.digest for each in made.values()}
    tables = {"geneval": ("images.parquet", IMAGES), "pope": ("answers.parquet", ANSWERS)}
    for name, (file, schema) in (tables | {"cloze": ("likelihoods.parquet", LIKELIHOODS)}).items():
        member = evaluation.members[name]
        assert {entry.path for entry in made[name].files} == {file, "recipe.json"}
        assert pq.read_table(member.folder / file).schema.equals(schema)
        assert made[name].facts.items() >= FACTS.items()
        assert not member.work.exists()
    assert made["cloze"].facts["data_sets"] == []
    images = rows(evaluation.members["geneval"], "images.parquet")
    assert len(images) == 6 * 3 * 2
    assert all(row["image"].startswith(b"\x89PNG") for row in images)
    first = images[0]
    assert first["seed"] == image_seed(218, first["prompt"], 0, 0)


def test_a_checkpoint_is_loaded_once_and_only_for_what_is_missing(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    original = Checkpoint.model.func  # type: ignore[attr-defined]
    monkeypatch.setattr(Checkpoint.model, "func", lambda self: loads.append(self) or original(self))
    small.evaluation("pope", "mme", "cloze").group.make()
    assert len(loads) == 1
    again = small.evaluation("pope", "mme", "cloze")
    digests = read_manifest(again.group.folder).facts["answers"]
    assert again.group.make().facts["answers"] == digests
    assert len(loads) == 1


def test_a_benchmark_run_by_itself_gives_the_same(small: SmallExperiment) -> None:
    evaluation = small.evaluation("geneval", "pope", "cloze")
    together = evaluation.group.make().facts["answers"]
    small.forget()
    for member in small.evaluation("geneval", "pope", "cloze").members.values():
        assert member.make().digest == together[member.recipe.artefact]


@pytest.mark.parametrize(
    ("benchmark", "module", "function", "samples"),
    [
        ("pope", answers, "answer_questions", 12),
        ("geneval", benchmark_images, "generate_pixels", 36),
        ("cloze", likelihoods, "_likelihoods", 48),
    ],
)
def test_a_killed_job_goes_on_and_gives_the_same(  # noqa: PLR0917
    small: SmallExperiment,
    monkeypatch: pytest.MonkeyPatch,
    benchmark: str,
    module: Any,
    function: str,
    samples: int,
) -> None:
    monkeypatch.setattr(likelihoods, "BATCHES_KEPT", 1)
    undisturbed = small.evaluation(benchmark, batch_size=4).group.make()
    small.forget()
    with monkeypatch.context() as first:
        before = counted(first, module, function, die_after=2)
        with pytest.raises(KeyboardInterrupt):
            small.evaluation(benchmark, batch_size=4).group.make()
    after = counted(monkeypatch, module, function)
    assert small.evaluation(benchmark, batch_size=4).group.make().digest == undisturbed.digest
    assert (sum(before), sum(before) + sum(after)) == (8, samples)


def test_what_a_group_has_is_kept_and_what_it_gains_is_made(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = small.evaluation("geneval", "pope", group="grown")
    before = alone.group.make().facts["answers"]
    for module, name in ((benchmark_images, "generate_pixels"), (answers, "answer_questions")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("computed again"))
    grown = small.evaluation("geneval", "pope", "cloze", group="grown")
    assert grown.group.folder != alone.group.folder
    after = grown.group.make().facts["answers"]
    assert len(after) == 3
    assert before.items() <= after.items()


@pytest.mark.parametrize("damage", ["flipped", "deleted", "manifest deleted"])
def test_answers_that_are_damaged_or_gone_are_made_again(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    evaluation = small.evaluation("pope", "mme")
    digests = evaluation.group.make().facts["answers"]
    folder = evaluation.members["mme"].folder
    path = folder / ("manifest.json" if damage == "manifest deleted" else "answers.parquet")
    whole = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 0xFF]) + whole[101:])
        assert path.read_bytes() != whole
    else:
        path.unlink()
    asked = counted(monkeypatch, answers, "answer_questions")
    with caplog.at_level("WARNING", logger="unix_lib"):
        assert small.evaluation("pope", "mme").group.make().facts["answers"] == digests
    assert asked == [12]
    open_artefact(folder)
    assert ("; made again" in caplog.text) == (damage != "manifest deleted")


def test_changed_settings_are_asked_anew(small: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    small.evaluation("pope").group.make()
    asked = []
    original = answers.answer_questions

    def notes(checkpoint: Checkpoint, batch: Any, most: int, suffix: str) -> Any:
        asked.append((most, suffix))
        return original(checkpoint, batch, most, suffix)

    monkeypatch.setattr(answers, "answer_questions", notes)
    changed = small.evaluation("pope").generate
    small.evaluation("pope", generate=changed.model_copy(update={"max_answer_tokens": 2})).group.make()
    assert asked == [(2, "")]
    other = small.evaluation("pope", generate=changed.model_copy(update={"question_suffix": " So?"}))
    other.group.make()
    assert asked == [(2, ""), (3, " So?")]
    assert all(row["prompt"].endswith(" So?") for row in rows(other.members["pope"], "answers.parquet"))


def test_unreadable_images_are_noted_and_the_rest_is_answered(small: SmallExperiment) -> None:
    damaged, sample_id = small.with_half_an_image("damaged")
    evaluation = small.evaluation("pope", sources={"shapes": damaged})
    evaluation.group.make()
    found = {row["sample_id"]: row for row in rows(evaluation.members["pope"], "answers.parquet")}
    assert len(found) == 12
    assert found[sample_id]["rejected"] is not None
    assert found[sample_id]["detail"]
    assert sum(row["rejected"] is None for row in found.values()) >= 8


def test_a_question_too_long_for_the_model_is_set_aside(small: SmallExperiment, tmp_path: Any) -> None:
    lines = (small.results / small.shapes / "benchmarks" / "pope.tsv").read_text().splitlines()
    place = lines[0].split("\t").index("question")
    cells = lines[2].split("\t")
    cells[place] += " and so on" * 2000
    path = tmp_path / "pope.tsv"
    path.write_text("\n".join([*lines[:2], "\t".join(cells), *lines[3:6]]) + "\n")
    evaluation = small.evaluation("pope", file=str(path), source=None)
    evaluation.group.make()
    found = rows(evaluation.members["pope"], "answers.parquet")
    assert [row["rejected"] for row in found] == [None, "question too long", None, None, None]
    evaluation.scores.make()
    (row,) = rows(evaluation.scores, "rejected.parquet")
    assert (row["sample_id"], row["reason"]) == (cells[0], "question too long")
    small.forget()


def test_an_image_that_would_grow_beyond_memory_is_set_aside() -> None:
    with pytest.raises(BadImage, match="aspect ratio: 1 x 40000000 pixels"):
        answers.question_pixels(png_that_claims(1, 40_000_000), 32)


def test_likelihoods_are_those_of_the_librarys_own_scoring(small: SmallExperiment) -> None:
    evaluation = small.evaluation("cloze")
    evaluation.group.make()
    checkpoint = Checkpoint(small.results / small.checkpoint, None, 8)
    found = rows(evaluation.members["cloze"], "likelihoods.parquet")
    questions, _ = read_cloze(small.results / small.prose / "benchmarks" / "cloze.jsonl")
    asked = [(row["question"], f" {choice}") for row in questions for choice in row["choices"]]
    assert [(row["context"], row["continuation"]) for row in found] == asked
    contexts, continuations = [], []
    for question, choice in asked:
        whole = checkpoint.tokenizer(question + choice)["input_ids"]
        context = checkpoint.tokenizer(question)["input_ids"]
        contexts.append(whole[: len(context)])
        continuations.append(whole[len(context) :])
    wanted = sequence_log_probabilities(checkpoint.model, contexts, continuations)
    np.testing.assert_allclose([row["log_likelihood"] for row in found], wanted, atol=1e-4)


def test_a_special_token_in_a_question_is_text(small: SmallExperiment) -> None:
    checkpoint = Checkpoint(small.results / small.checkpoint, None, 8)
    context, continuation = "a sign that says <|vision_start|> or <|endoftext|>", " is red"
    request = Instance("loglikelihood", {}, (context, continuation), 0, ("task", 0, 1))
    (row,) = likelihoods._likelihoods(checkpoint, [request])
    before, whole = encode_texts(checkpoint.tokenizer, [context, context + continuation])
    assert not {checkpoint.vocabulary.vision_start_id, checkpoint.vocabulary.eos_id} & {*whole}
    (wanted,) = sequence_log_probabilities(checkpoint.model, [before], [whole[len(before) :]])
    assert row["log_likelihood"] == pytest.approx(wanted, abs=1e-4)


def test_image_seeds_do_not_depend_on_other_prompts() -> None:
    seeds = {image_seed(218, prompt, occurrence, i) for prompt in "ab" for occurrence in (0, 1) for i in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert image_seed(218, "a", 0, 0) != image_seed(219, "a", 0, 0)


def test_a_source_without_the_benchmark_is_named(small: SmallExperiment) -> None:
    evaluation = small.evaluation("pope", sources={"shapes": small.prose})
    with pytest.raises(BenchmarkError, match=r"tiny-step-00000-pope: prose-benchmarks-\w+ makes no pope\.tsv"):
        evaluation.group.make()


def test_a_fetched_file_must_be_there_and_unchanged(small: SmallExperiment, tmp_path: Any) -> None:
    path = tmp_path / "pope.tsv"
    path.write_bytes((small.results / small.shapes / "benchmarks" / "pope.tsv").read_bytes())
    evaluation = small.evaluation("pope", file=str(path), source=None, limit=4)
    member = evaluation.members["pope"]
    member.make()
    assert len(rows(member, "answers.parquet")) == 4
    path.write_text(path.read_text() + "\n")
    (member.folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="changed after the plan was made"):
        member.make()
    path.unlink()
    with pytest.raises(BenchmarkError, match="is missing; `unix-lib fetch"):
        small.evaluation("pope", file=str(path), source=None, limit=4).members["pope"].make()


def test_a_task_of_the_registry_that_is_not_here_says_how_to_get_it(small: SmallExperiment) -> None:
    evaluation = small.evaluation("cloze", source=None, task="mmlu_of_mars")
    with pytest.raises(BenchmarkError, match="lm-eval has no task 'mmlu_of_mars'"):
        evaluation.group.make()
    evaluation = small.evaluation("cloze", source=None, task="arc_easy")
    with pytest.raises(BenchmarkError, match=r"'arc_easy': its data set is not in .*`unix-lib fetch <config>`"):
        evaluation.group.make()


def test_a_damaged_checkpoint_answers_nothing(small: SmallExperiment) -> None:
    path = small.results / small.checkpoint / "model" / "config.json"
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    try:
        with pytest.raises(ArtefactError, match=r"config\.json"):
            small.evaluation("pope").group.make()
    finally:
        path.write_bytes(whole)
    small.evaluation("pope").group.make()


def test_a_group_is_of_one_checkpoint(small: SmallExperiment) -> None:
    first = small.evaluation("pope").members["pope"]
    other = small.evaluation("mme").members["mme"]
    other.recipe.inputs["checkpoint"] = "train/another-step-00000-0123456789ab"
    with pytest.raises(RecipeError, match="a group of several checkpoints; run the workflow again"):
        checkpoint_of([first, other])

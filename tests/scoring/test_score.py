"""A checkpoint scored without its experiment: the same scores, kept, resumed; other settings are other answers."""

from pathlib import Path
from shutil import copytree
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import SmallExperiment
from tests.scoring.small_list import SmallList
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import open_artefact, read_manifest
from unix_lib.artefacts.verify import verify
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.generate import answers
from unix_lib.scoring import bringing
from unix_lib.scoring.score import Scored, score_model


@pytest.fixture
def listed(small: SmallExperiment, tmp_path: Path) -> SmallList:
    small.forget()
    small.forget("evaluate")
    return SmallList(small, tmp_path)


def scored(listed: SmallList, *names: str, **model: Any) -> Scored:
    asked = listed.asked({"benchmarks": list(names)} | model)
    return score_model(asked.wanted.models[0], asked)


def test_scores_are_those_of_the_workflow_and_answers_the_same_artefacts(listed: SmallList) -> None:
    names = ("geneval", "dpg", "pope", "mme", "mmbench")
    found = scored(listed, "shapes", "text")
    assert found.faults == {} and {row["benchmark"] for row in found.rows} == {*names, "cloze"}
    planned = listed.small.evaluation(*names)
    expected = pq.read_table(planned.make().folder / "scores.parquet").to_pylist()
    rows = [row for name in sorted(names) for row in found.rows if row["benchmark"] == name]
    assert rows == expected and len(rows) > 20
    for name in names:
        artefact = planned.members[name].recipe.artefact
        assert read_manifest(listed.results / artefact).digest == read_manifest(listed.small.results / artefact).digest
    proven = verify(listed.results)
    assert proven.artefacts > 10 and proven.faults == proven.unproven == []


def test_what_the_experiment_has_answered_is_linked(listed: SmallList, monkeypatch: pytest.MonkeyPatch) -> None:
    listed.small.evaluation("pope", "mme").group.make()
    listed.config["stores"] = [str(listed.small.results)]
    monkeypatch.setattr(Checkpoint.model, "func", lambda self: pytest.fail("loaded"))
    assert {row["benchmark"] for row in scored(listed, "pope", "mme").rows} == {"pope", "mme"}


def test_it_goes_on_where_it_was_killed_and_repeats_nothing(listed: SmallList, monkeypatch: pytest.MonkeyPatch) -> None:
    original, asked = answers.answer_questions, list[int]()

    def counted(checkpoint: Checkpoint, questions: Any, *others: Any) -> Any:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(questions))
        return original(checkpoint, questions, *others)

    with monkeypatch.context() as killed:
        killed.setattr(answers, "answer_questions", counted)
        with pytest.raises(KeyboardInterrupt):
            scored(listed, "pope", batch_size=4)
    asked[:] = [0]
    monkeypatch.setattr(answers, "answer_questions", counted)
    first = scored(listed, "pope", batch_size=4)
    assert asked == [0, 4] and first.rows
    monkeypatch.setattr(answers, "answer_questions", lambda *_: pytest.fail("asked again"))
    assert scored(listed, "pope", batch_size=5).rows == first.rows


def test_other_settings_are_other_answers(listed: SmallList) -> None:
    one = {"images_per_prompt": 1, "limit": 6}
    folders = [
        scored(listed, "geneval", **settings).folders["geneval"]
        for settings in (one, one | {"guidance": 1.0}, one | {"limit": 5}, one)
    ]
    assert len({*folders}) == 3 and folders[0] == folders[3]
    samples = [pq.read_table(folder / "samples" / "geneval.parquet").num_rows for folder in folders]
    assert samples == [6, 6, 5, 6]
    images = [pq.read_table(path) for path in listed.results.glob("generate/*/images.parquet")]
    assert len(images) == 3 and len({table["image"][0].as_py() for table in images}) == 2  # without guidance: another


def test_prompts_in_other_words_are_drawn(listed: SmallList, tmp_path: Path) -> None:
    prompts = [f"anything, {number}" for number in range(18)]
    (tmp_path / "words.txt").write_text("".join(f"{prompt}\n" for prompt in prompts))
    words = {"geneval": str(tmp_path / "words.txt")}
    found = scored(listed, "geneval", images_per_prompt=1, prompts=words)
    assert {row["protocol"] for row in found.rows} == {"geneval, 1 images a prompt, reworded prompts"}
    (images,) = listed.results.glob("generate/*/images.parquet")
    assert pq.read_table(images)["prompt"].to_pylist() == prompts


def test_a_file_of_ones_own(listed: SmallList, tmp_path: Path) -> None:
    made = (listed.small.results / listed.small.shapes / "benchmarks" / "pope.tsv").read_text().splitlines()
    (tmp_path / "some.tsv").write_text("\n".join(made[:6]) + "\n")
    named = scored(listed, "pope", files={"pope": str(tmp_path / "some.tsv")})
    own = {"mine": {"scorer": "yes_no", "layout": "pope", "file": str(tmp_path / "some.tsv")}}
    asked = listed.asked({"benchmarks": ["mine"]}, benchmarks=own)
    mine = score_model(asked.wanted.models[0], asked)
    assert [row["n"] for row in named.rows[:1]] == [row["n"] for row in mine.rows[:1]] == [5]


def test_what_one_benchmark_lacks_stops_no_other(listed: SmallList, tmp_path: Path) -> None:
    found = scored(listed, "mme", "cloze", "pope", files={"mme": str(tmp_path / "no.tsv"), "pope": str(tmp_path)})
    assert {row["benchmark"] for row in found.rows} == {"cloze"} and found.faults.keys() == {"mme", "pope"}
    told = str(found.faults["mme"])
    assert "no.tsv is missing; data/README.md says" in told and "unix-lib fetch" in told
    alone = scored(listed, "pope", "cloze", image_tokenizer=None)
    assert {row["benchmark"] for row in alone.rows} == {"cloze"}
    assert "--image-tokenizer" in str(alone.faults["pope"])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"benchmarks": ["pop"]}, "unknown benchmark 'pop'; did you mean 'pope'"),
        ({"files": {"x y": "a"}}, "unknown benchmark 'x y'; known: text, understanding, generation, "),
        ({"files": {"cloze": ""}}, "benchmark cloze: file: String should have at least 1 character"),
        ({"prompts": {"cloze": "a.txt"}}, "benchmark cloze: unknown key 'prompts'"),
        ({"checkpoint": "nowhere"}, "nowhere: no finished checkpoint here"),
    ],
)
def test_what_cannot_be_is_one_line(listed: SmallList, model: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        scored(listed, *model.pop("benchmarks", []), **model)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_source_whose_benchmarks_are_not_made_is_named(listed: SmallList) -> None:
    listed.config["sources"]["shapes"] = listed.config["sources"]["shapes"] | {"questions_per_benchmark": 10}
    found = scored(listed, "pope", "cloze")
    assert "is not made; run the experiment of" in str(found.faults["pope"])
    assert {row["benchmark"] for row in found.rows} == {"cloze"}


@pytest.mark.parametrize("links", [True, False])
def test_a_checkpoint_that_was_copied_is_the_same(
    listed: SmallList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    copy = copytree(listed.small.results / listed.small.checkpoint, tmp_path / "a copy")
    if not links:
        monkeypatch.setattr(bringing, "point_link", lambda *_: False)
    rows = scored(listed, "pope", checkpoint=str(copy)).rows
    place = listed.results / listed.small.checkpoint
    assert place.is_symlink() == links and open_artefact(place)
    assert scored(listed, "pope").rows == rows  # and now it is a link to the original
    (copy / "model" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json"):
        scored(listed, "pope", checkpoint=str(copy))

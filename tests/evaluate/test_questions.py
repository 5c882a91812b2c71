"""Questions about images, scored: by several protocols, with a judge of answers, and what is set aside."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import SmallEvaluation, SmallExperiment, finished, made_by_a_test
from tests.evaluate.test_make import table, with_files
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.config.strict import ConfigError
from unix_lib.evaluate import answer_judge
from unix_lib.evaluate.questions import NO_PAIR
from unix_lib.judges.judge import JudgeError, NoVerdict

REFUSED = "refused"
ALL = ["vlmevalkit", "strict", "lmms-eval", "paper"]
JUDGE = {"reader": {"kind": "endpoint", "url": "http://127.0.0.1:9/v1/chat/completions", "model": "careful"}}


@pytest.fixture(autouse=True)
def elsewhere(small: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where what judges say is kept by default; answers that a test has put into place are forgotten."""
    monkeypatch.chdir(tmp_path)
    yield
    small.forget()


def answered(evaluation: SmallEvaluation, name: str, texts: Sequence[str]) -> None:
    """Let a benchmark be answered, by these texts in turn; a # in them becomes the question's number."""
    evaluation.group.make()
    rows = pq.read_table(evaluation.members[name].folder / "answers.parquet").to_pylist()
    with_files(
        evaluation,
        name,
        "answers.parquet",
        [row | {"text": texts[number % len(texts)].replace("#", str(number))} for number, row in enumerate(rows)],
    )


class Reader:
    """A judge in this process."""

    at_once = 1

    def __init__(self, replies: Sequence[str | None]) -> None:
        self.replies, self.asked = replies, list[str]()

    def reply(self, questions: Sequence[str]) -> list[str]:
        said = []
        for question in questions:
            self.asked.append(question)
            reply = self.replies[(len(self.asked) - 1) % len(self.replies)]
            if reply is None:
                raise JudgeError("it is down; run again when it is there")
            if reply == REFUSED:
                raise NoVerdict("refused by the judge", "it refuses this one")
            said.append(reply)
        return said


def with_reader(monkeypatch: pytest.MonkeyPatch, *replies: str | None) -> Reader:
    reader = Reader(replies)
    monkeypatch.setattr(answer_judge, "open_judge", lambda *_: reader)
    return reader


def test_another_protocol_scores_the_same_answers_and_generates_nothing(small: SmallExperiment) -> None:
    plain = small.evaluation("pope", "mme", "mmbench", group="plain")
    several = small.evaluation("pope", "mme", "mmbench", group="plain", protocols=ALL)
    assert {n: job.recipe.digest for n, job in plain.members.items()} == {
        n: job.recipe.digest for n, job in several.members.items()
    }
    assert plain.scores.recipe.digest != several.scores.recipe.digest
    plain.make()
    made = [(job.folder / "answers.parquet").stat().st_mtime_ns for job in several.members.values()]
    several.make()
    assert [(job.folder / "answers.parquet").stat().st_mtime_ns for job in several.members.values()] == made

    assert "readings.parquet" not in {entry.path for entry in read_manifest(plain.scores.folder).files}
    before, after = (table(e.scores, "scores.parquet").to_pylist() for e in (plain, several))
    strict = [row for row in after if row["protocol"].endswith("read by rules")]
    assert strict == before  # one protocol's scores know nothing of the others
    protocols = {row["protocol"] for row in after if row["benchmark"] == "mme"}
    assert protocols == {"mme, greedy answers read by rules"} | {
        f"mme, greedy answers, {p}" for p in set(ALL) - {"strict"}
    }
    facts = read_manifest(several.scores.folder).facts["benchmarks"]
    assert facts["pope"]["protocol"] == "pope, greedy answers, vlmevalkit"
    readings = table(several.scores, "readings.parquet").to_pandas()
    assert set(readings.protocol) == set(ALL)
    assert (readings.groupby(["benchmark", "protocol"]).size().unstack().nunique(axis=1) == 1).all()
    assert not readings.by_judge.any()


def test_readings_say_what_each_protocol_made_of_an_answer(small: SmallExperiment) -> None:
    evaluation = small.evaluation("mmbench", group="readings", protocols=ALL)
    answered(evaluation, "mmbench", ["A circle", "Z", "(B)", "x"])
    evaluation.scores.make()
    readings = table(evaluation.scores, "readings.parquet").to_pandas()
    of_first = readings.groupby("protocol").reading.apply(lambda column: column.iloc[:4].fillna("").tolist())
    assert of_first["vlmevalkit"] == ["A", "Z", "B", ""]
    assert of_first["lmms-eval"] == ["A", "", "B", ""]
    assert of_first["paper"] == ["A", "", "B", ""]
    scores = {
        (row["protocol"].rpartition(" ")[2], row["metric"]): row["value"]
        for row in table(evaluation.scores, "scores.parquet").to_pylist()
    }
    assert scores["vlmevalkit", "unreadable_answers"] == 0.5  # a refusal is one
    samples = table(evaluation.scores, "samples/mmbench.parquet").to_pandas()
    assert samples.value.mean() == scores["vlmevalkit", "accuracy"]


def test_a_question_of_mme_without_its_pair_is_set_aside_and_counted(small: SmallExperiment) -> None:
    artefact = _mme_without_its_second_row(small)
    pairs = small.evaluation("mme", group="pairs", sources={"shapes": artefact}, protocols=["paper"]).make()
    manifest, samples = read_manifest(pairs.folder), table(pairs, "samples/mme.parquet")
    asked = pq.read_table(small.results / pairs.recipe.inputs["answers:mme"] / "answers.parquet")  # type: ignore[operator]
    assert manifest.rejected == {NO_PAIR: 1}
    assert samples.num_rows + 1 == asked.num_rows
    (row,) = table(pairs, "rejected.parquet").to_pylist()
    assert row["sample_id"] not in samples["sample_id"].to_pylist()
    own = small.evaluation("mme", group="own", sources={"shapes": artefact}).make()
    assert read_manifest(own.folder).rejected == {}  # whose accuracy+ takes as many questions as there are


def _mme_without_its_second_row(small: SmallExperiment) -> str:
    folder = small.results / made_by_a_test("sources", "unpaired-benchmarks").artefact / "benchmarks"
    lines = (small.results / small.shapes / "benchmarks" / "mme.tsv").read_text().splitlines(keepends=True)
    of_image = [line.split("\t")[-1] for line in lines]
    assert of_image[1] == of_image[2] or of_image[2].strip() == lines[1].split("\t")[0]
    folder.mkdir(parents=True)
    (folder / "mme.tsv").write_text("".join(lines[:2] + lines[3:]))
    return finished(small.results, "sources", "unpaired-benchmarks").artefact


def test_a_judge_reads_what_rules_cannot_and_is_asked_nothing_twice(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = with_reader(monkeypatch, "A", "I can't tell", "Z")
    evaluation = small.evaluation("mmbench", group="judged", judges=JUDGE, judge="reader", protocols=ALL)
    answered(evaluation, "mmbench", ["B", "what I see is odd: #"])
    evaluation.scores.make()
    readings = table(evaluation.scores, "readings.parquet").to_pandas()
    unread = int((readings.protocol == "strict").sum()) // 2
    assert len(reader.asked) == len(set(reader.asked)) == unread  # once, whatever the number of protocols
    judged = readings[readings.protocol == "vlmevalkit"].iloc[1::2]
    assert judged.by_judge.all() and not readings[readings.protocol == "vlmevalkit"].iloc[::2].by_judge.any()
    assert judged.reading.fillna("").tolist()[:3] == ["A", "", "Z"]
    assert not readings[readings.protocol == "paper"].by_judge.any()
    rows = table(evaluation.scores, "scores.parquet").to_pylist()
    assert {row["judge"] for row in rows} == {"", "endpoint 1 careful"}
    assert all((row["judge"] == "") == row["protocol"].endswith("paper") for row in rows)
    of_tool = [row for row in rows if row["protocol"].endswith("vlmevalkit") and row["metric"] == "unreadable_answers"]
    assert of_tool[0]["value"] == judged.reading.fillna("Z").eq("Z").sum() / (2 * unread)

    again = small.evaluation("mmbench", group="again", judges=JUDGE, judge="reader", protocols=["vlmevalkit"])
    again.make()
    assert len(reader.asked) == unread
    other = JUDGE["reader"] | {"model": "another"}
    small.evaluation("mmbench", group="other", judges={"reader": other}, judge="reader").make()
    assert len(reader.asked) == 2 * unread


def test_a_judge_that_goes_down_gives_no_score_and_goes_on_where_it_stopped(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = small.evaluation("pope", group="down", judges=JUDGE, judge="reader")
    answered(evaluation, "pope", ["hard to say: #"])
    with_reader(monkeypatch, "yes", "no", None)
    with pytest.raises(JudgeError, match="it is down"):
        evaluation.scores.make()
    assert not (evaluation.scores.folder / "scores.parquet").exists()
    reader = with_reader(monkeypatch, "yes")
    evaluation.scores.make()
    readings = table(evaluation.scores, "readings.parquet")["reading"].to_pylist()
    assert len(reader.asked) == len(readings) - 2
    assert readings == ["yes", "no"] + ["yes"] * (len(readings) - 2)


def test_a_question_that_a_judge_refuses_is_unread_and_asked_again_but_not_every_one(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = small.evaluation("pope", group="refused", judges=JUDGE, judge="reader")
    answered(evaluation, "pope", ["hard to say: #"])
    with_reader(monkeypatch, REFUSED)
    with pytest.raises(NoVerdict):
        evaluation.scores.make()
    monkeypatch.setattr(answer_judge, "MOST_WITHOUT", 0.2)
    with_reader(monkeypatch, REFUSED, *["yes"] * 50)
    evaluation.scores.make()
    readings = table(evaluation.scores, "readings.parquet")["reading"].to_pylist()
    assert readings == [None] + ["yes"] * (len(readings) - 1)
    reader = with_reader(monkeypatch, "no")
    again = small.evaluation("pope", group="refused again", judges=JUDGE, judge="reader", protocols=["vlmevalkit"])
    again.make()
    assert len(reader.asked) == 1


def test_several_are_asked_together_and_one_that_is_refused_spoils_no_other(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = small.evaluation("pope", group="together", judges=JUDGE, judge="reader")
    answered(evaluation, "pope", ["not easy: #"])
    monkeypatch.setattr(answer_judge, "MOST_WITHOUT", 0.2)
    reader = with_reader(monkeypatch, "yes", REFUSED, "no", REFUSED, *["yes"] * 50)
    reader.at_once = 5
    evaluation.scores.make()
    readings = table(evaluation.scores, "readings.parquet")["reading"].to_pylist()
    assert readings == ["no", None] + ["yes"] * (len(readings) - 2)


def test_a_judge_sees_the_question_its_options_and_the_answer(small: SmallExperiment, monkeypatch: Any) -> None:
    reader = with_reader(monkeypatch, "unknown")
    evaluation = small.evaluation("mmbench", "pope", group="seen", judges=JUDGE, judge="reader")
    for name in ("mmbench", "pope"):
        answered(evaluation, name, [f"odd words on {name}"])
    evaluation.scores.make()
    assert "\nA. " in reader.asked[0] and "odd words on mmbench" in reader.asked[0] and "with Z" in reader.asked[0]
    assert "\nA. " not in reader.asked[-1] and "odd words on pope" in reader.asked[-1]


def test_a_judge_of_images_is_refused(small: SmallExperiment) -> None:
    with pytest.raises(ConfigError, match="'scene_detector' reads no answers without their images"):
        small.evaluation("pope", judge="scenes")

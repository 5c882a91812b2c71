"""The stage: rows in are rows translated and set aside, whatever an endpoint does, and whenever a job is killed."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.endpoints.fake import Body, Reply, completion, endpoint
from tests.translate.records import records, rows_of, translation_job, write_source
from unix_lib.artefacts.files import canonical_json
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.endpoints.client import Endpoint
from unix_lib.jobs.job import Job
from unix_lib.recipes.workspace import execution_path
from unix_lib.records.rejected import REJECTED_FILE
from unix_lib.records.schema import RECORD, Row
from unix_lib.translate.errors import TranslateError
from unix_lib.translate.translator import MOST_REFUSALS

ROOT = Path(__file__).resolve().parents[2]
ROWS = 120
UNFAITHFUL = ("length", "no marks", "empty")  # answers that don't count


def translated(text: str) -> str:
    """What the fake model says."""
    return f"译：{text}"


def obedient(body: Body) -> Reply:
    return completion(translated(body["messages"][-1]["content"]))


class Moody:
    """Answers as `obedient` does, after faults of every kind; each text's second request is answered well."""

    def __init__(self, seed: int) -> None:
        often = {"none": 100, "busy": 12, "broken": 12, "length": 6, "no marks": 9, "empty": 6}
        self.kinds = [kind for kind, count in often.items() for _ in range(count)] + ["hang up", "cut", "half JSON"]
        random.Random(seed).shuffle(self.kinds)
        self.answers: Counter[str] = Counter()  # whole completions, by request
        self.faults: Counter[str] = Counter()

    def __call__(self, body: Body) -> Reply | None:
        time.sleep(0.002)
        good = obedient(body)
        kind = self.kinds.pop() if self.kinds else "none"
        told = "was refused" in body["messages"][0]["content"]
        if kind in UNFAITHFUL and (told or (kind == "no marks" and "[[" not in good.text)):
            kind = "none"
        self.faults[kind] += 1
        if kind in ("none", *UNFAITHFUL):
            self.answers[canonical_json(body)] += 1
        replies = {
            "busy": Reply(429, "slow down", {"Retry-After": "0"}),
            "broken": Reply(500, "oops", {"Retry-After": "0"}),
            "hang up": None,
            "cut": Reply(text=good.text, cut=len(good.text) // 2),
            "half JSON": Reply(text=good.text[: len(good.text) // 2]),
            "length": completion(translated("..."), "length"),
            "no marks": Reply(text=good.text.replace("[[", "").replace("]]", "")),
            "empty": completion(None),
        }
        return replies.get(kind, good)


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as the fake model translates them, with tokens and placeholders where they were."""
    new = []
    for given in rows:
        row = {name: given.get(name) for name in RECORD.names} | {"source": "photos-zh"}
        if row["text"] is not None:
            head, _, words = row["text"].rpartition("\n")
            row["text"] = (f"{head}\n" if head else "") + translated(words)
        if row["messages"] is not None:
            row["messages"] = [turn | {"content": translated(turn["content"])} for turn in row["messages"]]
        new.append(row)
    return new


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_source(tmp_path / "results", records(ROWS))


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["sample_id"]))


def test_all_but_the_words_stays_as_it_was(source: str, tmp_path: Path) -> None:
    with endpoint(obedient) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        manifest = job.make()
    assert by_id(rows_of(job.folder)) == by_id(expected(records(ROWS)))
    splits = {entry.path: entry.rows for entry in manifest.files}
    assert (splits["train-00000.parquet"], splits["heldout-00000.parquet"]) == (ROWS * 9 // 10, ROWS // 10)
    assert manifest.rejected == {}
    shown = [body["messages"][-1]["content"] for body in server.seen]
    assert not any(mark in text for text in shown for mark in ("<", "{name}"))
    assert len(shown) == len(set(shown)) == ROWS // 3 * 3 + 1  # "yes" is asked for once
    body = server.seen[0]
    assert (body["model"], body["temperature"], body["seed"]) == ("some-model", 0.0, 218)
    assert "into Chinese" in body["messages"][0]["content"]
    assert server.most_at_once <= 4


def run_script(job: Job[Any, Any]) -> subprocess.Popen[bytes]:
    recipe = job.recipe.path(job.results)
    command = [sys.executable, "-P", str(ROOT / "scripts" / "translate.py"), "--recipe", str(recipe)]
    command += ["--execution", str(execution_path(recipe)), "--output", str(job.folder / MANIFEST)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_a_killed_job_repeats_only_what_was_under_way(source: str, tmp_path: Path) -> None:
    with endpoint(obedient) as server:
        undisturbed = translation_job(tmp_path / "results", source, server.url, tmp_path / "undisturbed").make()
    moody, kills = Moody(218), 0
    with endpoint(moody) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers", asks=3)
        for share in (0.2, 0.5, 0.8):
            process = run_script(job)
            while sum(moody.answers.values()) < share * ROWS and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL and not (job.folder / MANIFEST).exists()
            kills += 1
        last = run_script(job)
        assert last.wait() == 0, last.stderr and last.stderr.read().decode()
    assert {"busy", "broken", "hang up", "cut", "half JSON", *UNFAITHFUL} <= set(moody.faults)
    repeated = sum(count - 1 for count in moody.answers.values())
    assert repeated <= kills * job.execution.endpoint.concurrency
    manifest = read_manifest(job.folder)
    assert {entry.path: entry.sha256 for entry in manifest.files if entry.path != "recipe.json"} == {
        entry.path: entry.sha256 for entry in undisturbed.files if entry.path != "recipe.json"
    }
    assert manifest.rejected == undisturbed.rejected == {}


def set_aside(folder: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(folder / REJECTED_FILE).to_pylist()
    return {row["sample_id"]: (row["reason"], row["detail"]) for row in rows}


def test_what_has_no_translation_that_counts_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    texts = {
        "long": ("loop", "cut off", "'text': the answer ended with 'length'"),
        "filtered": ("bad words", "content filter", "'text': the answer ended with 'content_filter'"),
        "lost": ("it is {here}", "placeholder lost", "'text': it has '{here}' 0 times, the text once"),
        "invented": (
            "it is here",
            "placeholder invented",
            "'text': it has '<|im_end|>', which the text has not so often",
        ),
        "short": ("a sentence of many words, all of them said", "length", "'text': it has 1 bytes for 42 of the text"),
        "empty": ("nothing", "no text", "'text': the answer is empty, or not a text"),
        "unfit": ("with a zero", "no text", "'text': the answer has a NUL character"),
        "refused": ("too long for the context", "refused by the endpoint", "'text': status 400"),
        "good": ("a dog", "", ""),
    }
    replies = {
        "loop": completion("loop loop", "length"),
        "bad words": completion("", "content_filter"),
        "it is [[1]]": completion("es ist da"),
        "it is here": completion("es ist<|im_end|> da"),
        "a sentence of many words, all of them said": completion("x"),
        "nothing": completion(" "),
        "with a zero": completion("mit\0"),
        "too long for the context": Reply(400, "context length"),
    }
    rows: list[Row] = [
        {"sample_id": name, "kind": "text", "text": text, "source": "photos"} for name, (text, _, _) in texts.items()
    ]
    source = write_source(tmp_path / "results", rows)
    with endpoint(lambda body: replies.get(body["messages"][-1]["content"], completion("ein Hund"))) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        manifest = job.make()
    assert [row["text"] for row in rows_of(job.folder)] == ["ein Hund"]
    told = {name: (reason, detail) for name, (_, reason, detail) in texts.items() if reason}
    assert set_aside(job.folder) == told
    assert sum(manifest.rejected.values()) == len(texts) - 1
    asked = [body["messages"][0]["content"] for body in server.seen if body["messages"][-1]["content"] == "it is [[1]]"]
    assert len(asked) == 2 and "refused (placeholder lost): it has [[1]] 0 times" in asked[1]
    assert not any("<|" in text["content"] for body in server.seen for text in body["messages"])


def test_a_deleted_artefact_comes_back_without_a_request(source: str, tmp_path: Path) -> None:
    with endpoint(obedient) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        first = job.make()
    shutil.rmtree(job.folder)
    again = translation_job(tmp_path / "results", source, None, tmp_path / "answers")
    assert again.recipe == job.recipe  # where answers come from is no part of it
    assert again.make().digest == first.digest


def test_a_damaged_answer_is_asked_for_again(source: str, tmp_path: Path) -> None:
    with endpoint(obedient) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        first = job.make()
        kept = tmp_path / "answers" / "photos-zh.jsonl"
        lines = kept.read_bytes().splitlines(keepends=True)
        assert b"\\u8bd1" in lines[3]
        lines[3] = lines[3].replace(b"\\u8bd1", b"\\u8bd2")
        kept.write_bytes(b"".join(lines)[:-20])  # and the last one was being written
        shutil.rmtree(job.folder)
        asked = len(server.seen)
        again = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        assert again.make().digest == first.digest
        assert len(server.seen) == asked + 2


def test_an_endpoint_that_is_not_there_is_one_line(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endpoint, "rest", lambda *_: None)
    with endpoint(obedient) as server:
        url = server.url
    job = translation_job(tmp_path / "results", source, url, tmp_path / "answers")
    with pytest.raises(TranslateError, match=f"photos-zh: endpoint {url}: can't be reached, 12 times; start it, or"):
        job.make()
    assert not (job.folder / MANIFEST).exists()


def test_an_endpoint_that_knows_no_such_model_is_asked_no_more(source: str, tmp_path: Path) -> None:
    with endpoint(lambda body: Reply(404, "no model\nsome-model")) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        with pytest.raises(
            TranslateError, match=r"refused with status 404 \(no model some-model\); correct its address"
        ):
            job.make()
    assert len(server.seen) <= 4  # as many as may be under way


def test_parameters_that_no_request_may_have_stop_the_job(source: str, tmp_path: Path) -> None:
    with endpoint(lambda body: Reply(400, "no seed")) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        with pytest.raises(TranslateError, match=r"status 400 \(no seed\), as all before it; correct the parameters"):
            job.make()
    assert len(server.seen) <= MOST_REFUSALS + 4


def test_without_endpoint_an_answer_that_is_missing_is_an_error(source: str, tmp_path: Path) -> None:
    with pytest.raises(
        TranslateError, match=r"no answer in .*answers, and no endpoint is named; set translate.endpoint"
    ):
        translation_job(tmp_path / "results", source, None, tmp_path / "answers").make()


def test_the_key_comes_from_the_environment(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(obedient) as server:
        job = translation_job(tmp_path / "results", source, server.url, tmp_path / "answers")
        where = job.execution.endpoint.model_copy(update={"key_variable": "TRANSLATION_KEY"})
        job.execution = job.execution.model_copy(update={"endpoint": where})
        monkeypatch.delenv("TRANSLATION_KEY", raising=False)
        with pytest.raises(TranslateError, match="set the environment variable TRANSLATION_KEY to its key"):
            job.make()
        monkeypatch.setenv("TRANSLATION_KEY", "secret")
        job.make()
    assert set(server.keys) == {"Bearer secret"}
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

"""The stage: rows in are rows translated and rows set aside, whatever an endpoint does, and whenever a job is killed."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.fake import Body, FakeEndpoint, Reply, completion, endpoint
from tests.translate.records import records, rows_of, translation_job, write_source
from unix_lib.artefacts.files import canonical_json
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.jobs.job import Job
from unix_lib.recipes.workspace import execution_path
from unix_lib.records.schema import RECORD
from unix_lib.translate.errors import TranslateError

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
        match kind:
            case "busy":
                return Reply(429, "slow down", {"Retry-After": "0"})
            case "broken":
                return Reply(500, "oops", {"Retry-After": "0"})
            case "hang up":
                return None
            case "cut":
                return Reply(text=good.text, cut=len(good.text) // 2)
            case "half JSON":
                return Reply(text=good.text[: len(good.text) // 2])
            case "length":
                return completion(translated("..."), "length")
            case "no marks":
                return Reply(text=good.text.replace("[[", "").replace("]]", ""))
            case "empty":
                return completion(None)
        return good


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as the fake model translates them, with tokens and placeholders where they were."""
    new = []
    for row in rows:
        row = {name: row.get(name) for name in RECORD.names} | {"source": "photos-zh"}
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

"""A model behind an endpoint is scored: images as they are, many at once, failures counted and asked for again."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from tests.endpoints.fake import Body, FakeEndpoint, Reply, endpoint
from tests.evaluate.small import SmallExperiment
from tests.scoring import tiny_server
from tests.scoring.small_list import SmallList
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.artefacts.verify import verify
from unix_lib.benchmarks.question_files import read_questions
from unix_lib.commands import lay_out
from unix_lib.endpoints.client import Endpoint
from unix_lib.images.files import png_bytes
from unix_lib.scoring import server
from unix_lib.scoring.score import Scored, score_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def listed(small: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallList:
    monkeypatch.setattr(Endpoint, "rest", lambda *_: None)
    return SmallList(small, tmp_path)


def scored(listed: SmallList, url: str, *names: str, attempts: int = 1, **model: Any) -> Scored:
    of_endpoint = {name: model.pop(name) for name in ("concurrency", "parameters", "tells_sampling") if name in model}
    behind = {"url": url, "attempts": attempts, **of_endpoint}
    listed.model = {}
    asked = listed.asked({"name": "theirs", "endpoint": behind, "benchmarks": list(names)} | model)
    return score_model(asked.wanted.models[0], asked)


def base(server: FakeEndpoint) -> str:
    return server.url.removesuffix("/chat/completions")


def part_of(body: Body, kind: str) -> str:
    (part,) = (part[kind] for part in body["messages"][0]["content"] if part["type"] == kind)
    return str(part["url"] if kind == "image_url" else part)


def test_questions_are_asked_with_the_images_as_they_are(listed: SmallList) -> None:
    path = listed.small.results / listed.small.shapes / "benchmarks" / "pope.tsv"
    questions, _ = read_questions(path, "pope")
    with endpoint(tiny_server.answer) as behind:
        found = scored(listed, base(behind), "pope", max_answer_tokens=10, question_suffix=" Yes or no?", concurrency=4)
        sent = {tuple(part_of(body, kind) for kind in ("text", "image_url")) for body in behind.seen}
        assert len(behind.seen) == len(questions) == 12 and behind.most_at_once <= 4
        again = scored(listed, base(behind), "pope", max_answer_tokens=10, question_suffix=" Yes or no?", concurrency=1)
        assert len(behind.seen) == 12 and again.rows == found.rows
    told = {(body["model"], body["temperature"], body["max_tokens"]) for body in behind.seen}
    assert told == {("a-model", 0, 10)}
    urls = [f"data:image/png;base64,{base64.b64encode(question.image_bytes).decode()}" for question in questions]
    assert sent == {(f"{question.text} Yes or no?", url) for question, url in zip(questions, urls, strict=True)}
    rows = {row["metric"]: row for row in found.rows}
    assert rows["yes_share"]["value"] == 1.0 and rows["accuracy"]["n"] == 12
    assert (rows["accuracy"]["run"], rows["accuracy"]["step"]) == ("theirs", -1)
    proven = verify(listed.results)
    assert proven.faults == proven.unproven == []


def test_what_gets_no_answer_is_counted_and_asked_for_again(listed: SmallList) -> None:
    silent = {"on": True}

    def answer(body: Body) -> Reply:
        number = len(behind.seen)
        return Reply(503) if silent["on"] and number % 4 == 0 else tiny_server.answer(body)

    with endpoint(answer) as behind:
        found = scored(listed, base(behind), "pope", concurrency=1)
        told = str(found.faults["pope"])
        assert "3 of 12 requests got no answer (the first: status 503, 1 time)" in told and found.rows == []
        assert not list(listed.results.glob("generate/*/manifest.json")) and verify(listed.results).unproven == []
        silent["on"], asked = False, len(behind.seen)
        found = scored(listed, base(behind), "pope", concurrency=1)
        assert len(behind.seen) == asked + 3 and found.faults == {}
    assert {row["n"] for row in found.rows if row["metric"] == "accuracy"} == {12}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(401, "no key"), r"refused with status 401 \(no key\); correct its address, key or model"),
        (
            Reply(400, "no such parameter"),
            r"status 400 \(no such parameter\), as all before it; correct its parameters",
        ),
        (None, "can't be reached, 1 time, 10 requests in a row; what it has answered is kept, so start it"),
        (Reply(text='{"choices": []}'), "an answer that is no chat completion, 1 time, 10 requests"),
        (Reply(text='{"choices": [{"message": {"content": null}}]}'), "an answer without words, 1 time, 10 requests"),
    ],
)
def test_one_that_answers_nobody_is_one_line(listed: SmallList, reply: Reply | None, message: str) -> None:
    with endpoint(lambda body: reply) as behind:
        found = scored(listed, base(behind), "pope", concurrency=1)
        assert len(behind.seen) <= 12
    with pytest.raises(UserError, match=message) as refused:
        raise found.faults["pope"]
    assert "\n" not in str(refused.value) and found.rows == []


def test_a_question_that_is_refused_or_whose_image_is_damaged_is_set_aside(listed: SmallList, tmp_path: Path) -> None:
    benchmarks = listed.small.results / listed.small.shapes / "benchmarks"
    heading, first, *others = (benchmarks / "pope.tsv").read_text().splitlines()
    *cells, png = first.split("\t")
    lines = [heading, "\t".join([*cells, png[: len(png) // 8 * 4]]), *others]
    (tmp_path / "half.tsv").write_text("\n".join(lines) + "\n")

    def answer(body: Body) -> Reply:
        return Reply(413, "too large") if len(behind.seen) == 3 else tiny_server.answer(body)

    with endpoint(answer) as behind:
        found = scored(listed, base(behind), "pope", concurrency=1, files={"pope": str(tmp_path / "half.tsv")})
        assert len(behind.seen) == 11
    assert {row["n"] for row in found.rows if row["metric"] == "accuracy"} == {10}
    rejected = pq.read_table(found.folders["pope"] / "rejected.parquet").to_pylist()
    assert sorted(row["reason"] for row in rejected) == ["refused by the endpoint", "truncated image"]


def test_prompts_are_drawn_with_what_sampling_says(listed: SmallList) -> None:
    with endpoint(tiny_server.answer) as behind:
        found = scored(listed, base(behind), "geneval", guidance=2.0, images_per_prompt=1, limit=6)
        asked = behind.seen
        plain = scored(
            listed, base(behind), "geneval", tells_sampling=False, limit=1, parameters={"size": "32x32"}
        ).faults
    assert found.faults == plain == {} and len(asked) == 6 + 2
    assert {(body["guidance_scale"], body["n"], body["response_format"]) for body in asked[:6]} == {
        (2.0, 1, "b64_json")
    }
    assert len({body["seed"] for body in asked[:6]}) == 6 and max(body["seed"] for body in asked[:6]) < 2**63
    assert set(asked[-1]) == {"prompt", "n", "response_format", "size", "model"}
    grey = png_bytes(np.full((32, 32, 3), 99, np.uint8))
    images = [pq.read_table(path)["image"].to_pylist() for path in listed.results.glob("generate/*/images.parquet")]
    assert sorted(map(len, images)) == [2, 6] and {each for some in images for each in some} == {grey}


def test_a_prompt_that_is_refused_has_a_missing_image_which_is_wrong(listed: SmallList, tmp_path: Path) -> None:
    def answer(body: Body) -> Reply:
        refused = len(behind.seen) in (2, 8)  # the second image of the first prompt of each
        return Reply(400, "content_policy_violation") if refused else tiny_server.answer(body)

    with endpoint(answer) as behind:
        found = scored(listed, base(behind), "geneval", "dpg", images_per_prompt=2, limit=3, concurrency=1)
        assert len(behind.seen) == 6 + 4
        again = scored(listed, base(behind), "geneval", "dpg", images_per_prompt=2, limit=3, concurrency=1)
        assert found.faults == {} and again.rows == found.rows and len(behind.seen) == 10
    overall = {row["benchmark"]: row for row in found.rows if row["metric"] == "overall"}
    assert overall["geneval"]["n"] == 6 and overall["dpg"]["n"] == 2
    (aside,) = pq.read_table(found.folders["geneval"] / "rejected.parquet").to_pylist()
    assert (aside["sample_id"], aside["reason"]) == ("00000-1", "no image")
    assert aside["detail"] == "refused by the endpoint: status 400"
    for name, total in (("geneval", 6), ("dpg", 4)):
        samples = pq.read_table(found.folders[name] / "samples" / f"{name}.parquet").to_pylist()
        assert len(samples) == total
        if name == "dpg":
            assert [(row["reason"], row["value"]) for row in samples][1] == ("no image", 0.0)
    made = [path.parent for path in listed.results.glob("generate/*/images.parquet")]
    folders = {recipe_of(folder).kind.removeprefix("endpoint/"): folder for folder in made}
    counts = {kind: read_manifest(folder).rejected for kind, folder in folders.items()}
    assert counts == {kind: {"refused by the endpoint": 1} for kind in ("geneval", "dpg")}
    assert verify(listed.results).faults == []
    lay_out.run(folders["dpg"], tmp_path / "out", Console())
    first, second = sorted((tmp_path / "out").iterdir())
    halves = [np.asarray(Image.open(path)).reshape(32, 2, 32, 3)[:, 1] for path in (first, second)]
    assert not halves[0].any() and (halves[1] == 99).all()


def test_another_address_is_another_model_and_texts_need_likelihoods(listed: SmallList) -> None:
    with endpoint(tiny_server.answer) as first, endpoint(tiny_server.answer) as second:
        assert scored(listed, base(first), "pope").rows == scored(listed, base(second), "pope").rows != []
        assert len(second.seen) == 12
        found = scored(listed, base(first), "cloze", "pope")
    assert "scorer 'lm_eval' asks for what an endpoint doesn't give" in str(found.faults["cloze"])
    assert {row["benchmark"] for row in found.rows} == {"pope"}


def test_nobody_waits_for_answers_under_way_where_it_is_interrupted(
    listed: SmallList, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, under_way = threading.Event(), threading.Event()

    def answer(body: Body) -> Reply:
        if len(behind.seen) <= 2:
            return tiny_server.answer(body)
        under_way.set()
        ended.wait(120)
        return tiny_server.answer(body)

    def interrupted(*_: Any) -> None:
        assert under_way.wait(60)
        raise KeyboardInterrupt

    with endpoint(answer) as behind:
        with monkeypatch.context() as pressed:
            pressed.setattr(threading.Thread, "join", interrupted)
            with pytest.raises(KeyboardInterrupt):
                scored(listed, base(behind), "pope", concurrency=1)
        assert not ended.is_set()
        ended.set()
        asked = len(behind.seen)
        found = scored(listed, base(behind), "pope", concurrency=1)
        assert asked == 3 and len(behind.seen) == 3 + 10 and found.faults == {}


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the tiny server, started in the place of ours, was told; afterwards none may be left."""
    told, before = tmp_path / "told.json", server.serve_command
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def command(checkpoint: Path, port: int, options: Any) -> list[str]:
        ours = before(checkpoint, port, options)
        return [sys.executable, "-m", "tests.scoring.tiny_server", str(told), *ours[ours.index("serve") + 1 :]]

    monkeypatch.setattr(server, "serve_command", command)
    monkeypatch.chdir(ROOT)
    yield told


def test_a_checkpoint_is_asked_through_a_server_of_its_own(listed: SmallList, started: Path) -> None:
    model = {
        "benchmarks": ["pope", "cloze"],
        "server": {"workers": 2, "concurrency": 3, "attempts": 1},
        "batch_size": 5,
    }
    asked = listed.asked(model)
    found = score_model(asked.wanted.models[0], asked)
    assert found.faults == {}
    words = json.loads(started.read_text())
    told = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0].endswith(listed.small.checkpoint) and listed.small.image_tokenizer in told["--image-tokenizer"]
    assert (told["--workers"], told["--slots"], told["--queue"], told["--device"]) == ("2", "5", "3", "cpu")
    assert {(row["benchmark"], row["run"], row["step"]) for row in found.rows} == {
        ("pope", "tiny", 0),
        ("cloze", "tiny", 0),
    }
    assert {row["value"] for row in found.rows if row["metric"] == "yes_share"} == {1.0}
    started.unlink()
    assert score_model(asked.wanted.models[0], asked).rows == found.rows
    assert not started.exists()  # what is answered needs no server
    proven = verify(listed.results)
    assert proven.faults == proven.unproven == []


def test_a_server_that_does_not_start_is_told_with_its_last_words(
    listed: SmallList, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = server.serve_command
    monkeypatch.setattr(server, "serve_command", lambda *some: [*command(*some), "broken"])
    asked = listed.asked({"benchmarks": ["pope", "mme"], "server": {}})
    found = score_model(asked.wanted.models[0], asked)
    for name in ("pope", "mme"):
        assert "ended with exit code 1 before it was ready" in str(found.faults[name])
        assert str(found.faults[name]).endswith("no such device")


STOPPED = """
import sys, time
from pathlib import Path
from unix_lib.scoring import server
server.serve_command = lambda checkpoint, port, options: [
    sys.executable, "-m", "tests.scoring.tiny_server", sys.argv[1], "--port", str(port)]
with server.served(Path("some"), [], Path(sys.argv[1] + ".log"), 60.0) as url:
    print(url, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_with_whoever_started_it(tmp_path: Path, number: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "told")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert Endpoint("some", f"{url}/chat/completions", _patience()).post({"messages": []}, lambda reply: reply)
        process.send_signal(number)
        assert process.wait(60) != 0
    with pytest.raises(UserError, match="can't be reached"):
        Endpoint("some", f"{url}/chat/completions", _patience()).post({"messages": []}, lambda reply: reply)


def _patience() -> Any:
    from unix_lib.config.endpoints import Patience

    return Patience(attempts=1)

"""Batch files: what goes out, answered elsewhere, comes back as answers, and a translation needs no endpoint."""

import json
from pathlib import Path

from tests.translate.records import records, rows_of, translation_job, write_source
from tests.translate.test_files import ROWS, TRANSLATED, as_texts, command, json_lines, run, table
from tests.translate.test_make import by_id, expected, translated
from unix_lib.translate.asking import Request
from unix_lib.translate.batch import write_batches
from unix_lib.translate.make import texts_of_job, translator_of


def replied(line: str, text: str | None = None, status: int = 200) -> str:
    """A line of replies, as a batch gives it, to a line of requests."""
    request = json.loads(line)
    shown = request["body"]["messages"][-1]["content"]
    message = {"role": "assistant", "content": translated(shown) if text is None else text}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    response = {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "b", "custom_id": request["custom_id"], "response": response, "error": None}) + "\n"


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def test_a_stage_is_made_from_replies_alone(tmp_path: Path) -> None:
    source = write_source(tmp_path / "results", records(30))
    job = translation_job(tmp_path / "results", source, None, tmp_path / "answers")
    with translator_of(job) as translator:
        texts = texts_of_job(job.settings, tmp_path / "results" / source)
        files = write_batches(translator.missing(texts), tmp_path / "batch", "photos-zh")
    (path,) = files
    first = json.loads(lines_of(path)[0])
    assert (first["method"], first["url"], first["body"]["model"]) == ("POST", "/v1/chat/completions", "some-model")
    assert files[path] == len(lines_of(path)) == len({json.loads(line)["custom_id"] for line in lines_of(path)})
    replies = tmp_path / "replies.jsonl"
    replies.write_text("".join(map(replied, reversed(lines_of(path)))))  # in no order
    assert run("translate", "import", str(replies), "--answers", str(tmp_path / "answers"))[0] == 0
    job.make()
    assert by_id(rows_of(job.folder)) == by_id(expected(records(30)))


def test_what_a_batch_leaves_open_is_exported_again_with_the_reason(tmp_path: Path) -> None:
    file, batch, replies = tmp_path / "captions.jsonl", tmp_path / "batch", tmp_path / "replies.jsonl"
    file.write_bytes(json_lines(ROWS))
    order = command(tmp_path, file, "--column", "caption")
    keep = ["--answers", str(tmp_path / "answers")]
    assert f"captions-00000.jsonl: {len(ROWS)} requests" in run(*order, "--batch", str(batch))[1]
    lines = lines_of(batch / "captions-00000.jsonl")
    texts = [f"ein {json.loads(line)['body']['messages'][-1]['content']}" for line in lines]
    answered = [replied(line, text) for line, text in zip(lines, texts, strict=True)]
    damaged = [
        replied(lines[0], ""),
        replied(lines[1], status=500),
        replied(lines[2], status=400),
        '{"custom_id": "mine", "response": {}}\n',
        answered[3][:-40] + "\n",
        json.dumps(json.loads(answered[4]) | {"error": {"code": "expired"}}) + "\n",
    ]
    replies.write_text("".join([*damaged, *answered[5:]]))
    code, shown = run("translate", "import", str(replies), *keep)
    assert code == 1 and f"{len(ROWS) - 5 + 2} answers" in shown
    assert "2 failed request, 1 not one of our requests, 1 unreadable reply" in shown
    run(*order, "--batch", str(batch))
    again = lines_of(batch / "captions-00000.jsonl")
    assert len(again) == 5
    told = [json.loads(line)["body"]["messages"][0]["content"].splitlines()[1:] for line in again]
    assert [len(refusals) for refusals in told] == [1, 0, 1, 0, 0]
    assert "refused by the endpoint" in told[2][0]
    replies.write_text("".join(replied(line, text) for line, text in zip(again, texts, strict=False)))
    assert run("translate", "import", str(replies), *keep)[0] == 0
    assert "every answer is there" in run(*order, "--batch", str(batch))[1]
    run(*order)
    assert table(tmp_path / "captions-translated.jsonl") == as_texts(TRANSLATED)


def test_files_are_no_larger_than_a_batch_may_be(tmp_path: Path) -> None:
    requests = [Request("m", [{"role": "user", "content": f"{number}é"}], {}) for number in range(10)]
    by_count = write_batches([*requests, requests[0]], tmp_path, "count", most_requests=4)
    assert list(by_count.values()) == [4, 4, 2]
    size = max(map(len, (tmp_path / "count-00000.jsonl").read_bytes().splitlines(keepends=True)))
    by_size = write_batches(requests, tmp_path, "size", most_bytes=3 * size)
    assert list(by_size.values()) == [3, 3, 3, 1]
    assert all(path.stat().st_size <= 3 * size for path in by_size)
    both = [[line for path in files for line in lines_of(path)] for files in (by_count, by_size)]
    assert both[0] == both[1]

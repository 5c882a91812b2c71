"""GenEval's prompts and cloze questions: what is wrong with a line, and what a limit keeps."""

import json
from pathlib import Path

import pytest

from unix_lib.benchmarks.cloze import read_cloze
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import GenEvalError, read_prompts
from unix_lib.evaluate.scene_files import read_scenes

QUESTION = {"question": "a", "choices": ["b", "c"], "answer": 1, "delimiter": " "}
PROMPT = {"tag": "colors", "prompt": "a", "include": [{"class": "circle", "count": 1}]}


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "3",
        json.dumps(QUESTION | {"choices": ["b"]}),
        json.dumps(QUESTION | {"choices": ["b", 2]}),
        json.dumps(QUESTION | {"choices": "bc"}),
        json.dumps(QUESTION | {"answer": True}),
        json.dumps(QUESTION | {"answer": -1}),
        json.dumps(QUESTION | {"question": "\ud83d"}),
        json.dumps({"question": "a"}),
        '{"question": "a", "question": "b", "choices": ["b", "c"], "answer": 1}',
        "[" * 100_000,
    ],
)
def test_a_bad_line_of_a_cloze_file_is_set_aside_and_the_rest_goes_on(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "cloze.jsonl"
    path.write_text(f"{json.dumps(QUESTION)}\n{bad}\n{json.dumps(QUESTION | {'more': 1})}\n")
    questions, rejected = read_cloze(path)
    assert questions == [QUESTION, QUESTION]
    assert [(row.reason, row.origin) for row in rejected] == [("malformed row", "cloze.jsonl:2")]
    path.write_text(f"{bad}\n")
    with pytest.raises(BenchmarkError, match=r"no questions; the first was set aside as malformed row \(.*\); "):
        read_cloze(path)


def test_a_line_separator_within_a_string_ends_no_line(tmp_path: Path) -> None:
    odd = "two\u2028lines\x85and more"
    question, prompt = QUESTION | {"question": odd}, PROMPT | {"prompt": odd}
    for name, row in (("cloze.jsonl", question), ("geneval.jsonl", prompt), ("scenes.jsonl", [{"objects": []}])):
        lines = json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row, ensure_ascii=False) + "\n"
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert read_cloze(tmp_path / "cloze.jsonl") == ([question, question], [])
    assert read_prompts(tmp_path / "geneval.jsonl") == ([prompt, prompt], [])
    assert len(read_scenes(tmp_path / "scenes.jsonl", lines=2)) == 2


def test_bad_prompt_lines_are_set_aside_and_a_limit_keeps_all_tasks(tmp_path: Path) -> None:
    path = tmp_path / "geneval.jsonl"
    tags = ("single_object", "colors", "counting")
    lines = [PROMPT | {"tag": tag, "prompt": f"{tag} {i}"} for tag in tags for i in range(4)]
    path.write_text("{}\n{\n" + "".join(json.dumps(line) + "\n" for line in lines))
    prompts, rejected = read_prompts(path, limit=5)
    kept = [line["prompt"] for line in prompts]
    assert kept == ["single_object 0", "single_object 1", "colors 0", "colors 1", "counting 0"]
    assert [(row.origin, row.detail) for row in rejected] == [
        ("geneval.jsonl:1", "not in GenEval's layout"),
        ("geneval.jsonl:2", "not JSON"),
    ]
    path.write_text("{}\n")
    with pytest.raises(GenEvalError, match=r"geneval\.jsonl: no prompts; the first was set aside as malformed row"):
        read_prompts(path)

"""GenEval's prompts and cloze questions: what is wrong with a line, and what a limit keeps."""

import json
from pathlib import Path

import pytest

from unix_lib.benchmarks.cloze import read_cloze
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import GenEvalError, read_prompts
from unix_lib.evaluate.ceiling import read_scenes


def test_bad_cloze_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cloze.jsonl"
    good = json.dumps({"question": "a", "choices": ["b", "c"], "answer": 1})
    for bad in ("{", json.dumps({"question": "a", "choices": ["b"], "answer": 1}), json.dumps({"question": "a"}), "3"):
        path.write_text(f"{good}\n{bad}\n")
        with pytest.raises(BenchmarkError, match=r"cloze\.jsonl:2"):
            read_cloze(path)
    path.write_text("")
    with pytest.raises(BenchmarkError, match="no questions"):
        read_cloze(path)


def test_a_line_separator_within_a_string_ends_no_line(tmp_path: Path) -> None:
    odd = "two\u2028lines\x85and more"
    question = {"question": odd, "choices": ["a", "b"], "answer": 1}
    prompt = {"tag": "colors", "prompt": odd, "include": [{"class": "circle", "count": 1}]}
    for name, row in (("cloze.jsonl", question), ("geneval.jsonl", prompt), ("scenes.jsonl", [{"objects": []}])):
        lines = json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row, ensure_ascii=False) + "\n"
        (tmp_path / name).write_bytes(lines.encode())
    assert read_cloze(tmp_path / "cloze.jsonl") == [question, question]
    assert read_prompts(tmp_path / "geneval.jsonl") == [prompt, prompt]
    assert len(read_scenes(tmp_path / "scenes.jsonl", 2)) == 2


def test_bad_prompt_lines_are_named_and_a_limit_keeps_all_tasks(tmp_path: Path) -> None:
    path = tmp_path / "geneval.jsonl"
    lines = [
        {"tag": tag, "prompt": f"{tag} {i}", "include": [{"class": "circle", "count": 1}]}
        for tag in ("single_object", "colors", "counting")
        for i in range(4)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = [line["prompt"] for line in read_prompts(path, limit=5)]
    assert kept == ["single_object 0", "single_object 1", "colors 0", "colors 1", "counting 0"]
    path.write_text("{}\n")
    with pytest.raises(GenEvalError, match=r"geneval\.jsonl:1: 'tag' is None"):
        read_prompts(path)
    path.write_text("{\n")
    with pytest.raises(GenEvalError, match=r"geneval\.jsonl:1: not JSON"):
        read_prompts(path)

"""GenEval's own prompts as they come with the library, and prompts in other words."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.geneval_prompts import read_prompts
from unix_lib.config.shipped import SHIPPED

SHA256 = "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"  # of the authors' file at af4902f
TASKS = {"single_object": 80, "two_object": 99, "counting": 80, "colors": 94, "position": 100, "color_attr": 100}
PROMPTS = [
    {"tag": "colors", "prompt": f"a red {name}", "include": [{"class": name, "count": 1, "color": "red"}]}
    for name in ("dog", "cat", "cow")
]


def test_the_shipped_file_is_the_authors_own() -> None:
    assert hashlib.sha256(SHIPPED["geneval"].read_bytes()).hexdigest() == SHA256
    prompts, rejected = read_prompts(SHIPPED["geneval"])
    assert (Counter(prompt["tag"] for prompt in prompts), rejected) == (TASKS, [])
    assert "Copyright (c) 2023 Dhruba Ghosh" in (SHIPPED["geneval"].parent / "LICENSE").read_text()
    names = (SHIPPED["geneval"].parent / "object_names.txt").read_text().splitlines()
    assert {clause["class"] for prompt in prompts for clause in prompt["include"]} <= set(names)


def files(folder: Path, words: str, name: str = "zh.txt", prompts: list[object] = PROMPTS) -> tuple[Path, str]:
    (folder / "geneval.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    (folder / name).write_text(words, encoding="utf-8")
    return folder / "geneval.jsonl", str(folder / name)


@pytest.mark.parametrize("name", ["zh.txt", "zh.jsonl"])
def test_other_words_take_the_places_of_the_benchmarks_own(tmp_path: Path, name: str) -> None:
    words = ["一只红色的狗", "一只红色的猫", "一头红色的牛"]
    lines = [json.dumps({"prompt": word}) for word in words] if name.endswith("jsonl") else words
    path, wordings = files(tmp_path, "\n".join(lines), name)
    prompts, rejected = read_prompts(path, wordings=wordings)
    assert prompts == [prompt | {"prompt": word} for prompt, word in zip(PROMPTS, words, strict=True)]
    assert rejected == []


@pytest.mark.parametrize("words", ["a\nb\n", "a\nb\nc\nd\n", ""])
def test_another_number_of_lines_is_refused(tmp_path: Path, words: str) -> None:
    path, wordings = files(tmp_path, words)
    with pytest.raises(BenchmarkError, match=r"zh\.txt: \d lines for 3 prompts; give a line for each"):
        read_prompts(path, wordings=wordings)


def test_a_line_that_cannot_be_used_shifts_no_other(tmp_path: Path) -> None:
    path, wordings = files(tmp_path, "a\n\nc\n")
    prompts, rejected = read_prompts(path, wordings=wordings)
    assert [(prompt["prompt"], prompt["include"][0]["class"]) for prompt in prompts] == [("a", "dog"), ("c", "cow")]
    assert [(row.origin, row.detail) for row in rejected] == [("zh.txt:2", "a blank line")]
    path, wordings = files(tmp_path, "a\nb\nc\n", prompts=[PROMPTS[0], {"tag": "colors"}, PROMPTS[2]])
    prompts, rejected = read_prompts(path, wordings=wordings)
    assert [prompt["prompt"] for prompt in prompts] == ["a", "c"]
    assert [row.origin for row in rejected] == ["geneval.jsonl:2"]

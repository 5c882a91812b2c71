"""DPG-Bench's questions: what is read, what is set aside, and prompts in other words."""

import json
from pathlib import Path

import pytest

from unix_lib.benchmarks.dpg import read_dpg
from unix_lib.benchmarks.errors import BenchmarkError

HEADING = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language"
)
ROWS = (
    'COCOval2014000000000042,"A dog, beside\na ""red"" ball.",d,1,0,entity,whole,entity - whole (dog),Is there a dog?',
    "COCOval2014000000000042,,,2,0,entity,whole,entity - whole (ball),Is there a ball?",
    'COCOval2014000000000042,,,3,2,attribute,color,"attribute - color (ball, red)",Is the ball red?',
    'COCOval2014000000000042,,,4,"1, 2",relation,spatial,"relation - spatial (dog, ball)",Is the dog beside the ball?',
    "7,A cat.,,1,0,global,,global - (photo),Is it a photo?",
)


def written(folder: Path, *rows: str) -> Path:
    path = folder / "dpg_bench.csv"
    path.write_text("\n".join([HEADING, *rows, ""]), encoding="utf-8")
    return path


def test_rows_become_prompts_with_a_graph_of_questions(tmp_path: Path) -> None:
    (dog, cat), rejected = read_dpg(written(tmp_path, *ROWS))
    assert rejected == []
    assert (dog.item_id, dog.prompt) == ("COCOval2014000000000042", 'A dog, beside\na "red" ball.')
    assert [(each.number, each.parents, each.category) for each in dog.propositions] == [
        (1, (), "entity - whole"),
        (2, (), "entity - whole"),
        (3, (2,), "attribute - color"),
        (4, (1, 2), "relation - spatial"),
    ]
    assert (cat.item_id, cat.propositions[0].broad_category) == ("7", "global")
    assert [item.item_id for item in read_dpg(written(tmp_path, *ROWS), limit=1)[0]] == [dog.item_id]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("7,,,x,0,entity,whole,entity - whole (cat),Is there a cat?", "no number"),
        ("7,,,2,0;1,entity,whole,entity - whole (cat),Is there a cat?", "no number"),
        ("7,,,2,0,entity,whole,entity - whole (cat),", "no item_id, tuple or question"),
        ("7,,,1,0,entity,whole,entity - whole (cat),Is there a cat?", "proposition 1 stands twice"),
        ("7,,,2,9,entity,whole,entity - whole (cat),Is there a cat?", "depends on proposition 9, which is not there"),
        ("7,,,2,0,entity,whole", "7 of 9 columns"),
    ],
)
def test_a_row_that_cannot_be_used_is_set_aside_with_its_reason(tmp_path: Path, row: str, why: str) -> None:
    prompts, rejected = read_dpg(written(tmp_path, *ROWS, row))
    assert [len(item.propositions) for item in prompts] == [4, 1]
    (one,) = rejected
    assert why in one.detail
    assert one.origin == "dpg_bench.csv:8"  # the first row takes two lines


def test_what_depends_on_a_question_that_is_set_aside_is_so_too(tmp_path: Path) -> None:
    rows = [ROWS[0], ROWS[1].replace("Is there a ball?", ""), *ROWS[2:]]
    prompts, rejected = read_dpg(written(tmp_path, *rows))
    assert [each.number for each in prompts[0].propositions] == [1]
    assert len(rejected) == 3


def test_a_file_without_a_column_or_a_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no prompts; fetch the file again"):
        read_dpg(written(tmp_path))
    path = tmp_path / "other.csv"
    path.write_text("item_id,prompt\n1,a\n")
    with pytest.raises(BenchmarkError, match="no column 'text', which DPG-Bench has; it has: item_id, prompt"):
        read_dpg(path)
    with pytest.raises(BenchmarkError, match="no such benchmark file"):
        read_dpg(tmp_path / "none.csv")


def test_other_words_are_found_by_item_and_never_shifted(tmp_path: Path) -> None:
    words = tmp_path / "dpg_prompts_zh.jsonl"
    lines = [
        {"item_id": 7, "prompt": "一只猫。"},
        {"item_id": "COCOval2014000000000042", "prompt": "一只狗和一个红球。"},
        {"item_id": "another", "prompt": "多余的"},
        {"item_id": "7", "prompt": "又一只猫。"},
        {"item_id": "7", "prompt": " "},
    ]
    words.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    prompts, rejected = read_dpg(written(tmp_path, *ROWS), wordings=str(words))
    assert [item.prompt for item in prompts] == ["一只狗和一个红球。", "一只猫。"]
    details = ["its item_id is none of the questions'", "its item_id stands twice", "no prompt"]
    assert [row.detail for row in rejected] == details
    words.write_text(json.dumps(lines[0]) + "\n")
    prompts, rejected = read_dpg(written(tmp_path, *ROWS), wordings=str(words))
    assert [item.item_id for item in prompts] == ["7"]
    assert [row.detail for row in rejected] == ["its prompt has no text"] * 4


def test_an_item_that_cannot_be_a_files_name_is_set_aside(tmp_path: Path) -> None:
    row = "../7,A cat.,,1,0,global,,global - (photo),Is it a photo?"
    prompts, rejected = read_dpg(written(tmp_path, *ROWS, row))
    assert (len(prompts), [each.detail for each in rejected]) == (2, ["its item_id can't be the name of a file"])

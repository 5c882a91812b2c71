"""TSV files in VLMEvalKit's layouts: index references, quoting, and everything that can be wrong with a row."""

import base64
import csv
import hashlib

import pytest

from unix_lib.benchmarks.question_files import QuestionFileError, read_questions

IMAGE = base64.b64encode(hashlib.sha512(b"one").digest()).decode()  # what is in it is not looked at here
OTHER = base64.b64encode(hashlib.sha512(b"two").digest()).decode()


def write(path, header, *rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


POPE = ["index", "question", "answer", "image"]
MMBENCH = ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image"]


def test_an_image_may_be_the_index_of_the_row_that_holds_it(tmp_path):
    rows = [
        (7, "Is there a dog?", "yes", IMAGE),
        (8, "A cat?", "No", 7),
        (9, "A cow?", "no", OTHER),
        (10, "?", "yes", "9"),
    ]
    questions, rejected = read_questions(write(tmp_path / "pope.tsv", POPE, *rows), "pope")
    assert [question.image for question in questions] == [IMAGE, IMAGE, OTHER, OTHER]
    assert [question.answer for question in questions] == ["yes", "no", "no", "yes"]
    assert questions[0].image_id == questions[1].image_id != questions[2].image_id
    assert questions[0].image_bytes == hashlib.sha512(b"one").digest()
    assert rejected == []


def test_a_reference_may_point_forwards_and_to_a_row_that_is_itself_unusable(tmp_path):
    rows = [(1, "Is it?", "yes", 2), (2, "", "yes", IMAGE)]
    questions, rejected = read_questions(write(tmp_path / "pope.tsv", POPE, *rows), "pope")
    assert [question.index for question in questions] == ["1"]
    assert [row.reason for row in rejected] == ["empty question"]


def test_options_hint_and_category(tmp_path):
    rows = [
        (1, "Which?\nSecond line", "Look left.", "red", "green", "blue", "black", "b", "color", IMAGE),
        (2, "Which?", "nan", "yes, it is", "no", "", "nan", "A", "logic", 1),
    ]
    questions, _ = read_questions(write(tmp_path / "mmbench.tsv", MMBENCH, *rows), "mmbench")
    assert questions[0].options == {"A": "red", "B": "green", "C": "blue", "D": "black"}
    assert (questions[0].answer, questions[0].hint, questions[0].category) == ("B", "Look left.", "color")
    assert questions[0].text == "Which?\nSecond line"
    assert questions[1].options == {"A": "yes, it is", "B": "no"}
    assert questions[1].hint == ""


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((2, "Is it?", "yes"), "malformed row"),
        ((2, "Is it?", "yes", IMAGE, "more"), "malformed row"),
        ((2, "Is it?", "yes", "77"), "unknown image reference"),
        ((2, "Is it?", "yes", ""), "unknown image reference"),
        ((2, "Is it?", "yes", IMAGE[:-3] + "*$="), "bad base64"),
        ((2, "Is it?", "perhaps", 1), "unknown answer"),
        ((2, " ", "yes", 1), "empty question"),
        (("", "Is it?", "yes", 1), "bad index"),
        ((1, "Is it?", "yes", 1), "bad index"),
    ],
)
def test_a_broken_row_is_set_aside_and_the_rest_goes_on(tmp_path, row, reason):
    path = write(tmp_path / "pope.tsv", POPE, (1, "First?", "yes", IMAGE), row, (3, "Third?", "no", 1))
    questions, rejected = read_questions(path, "pope")
    assert [question.index for question in questions] == ["1", "3"]
    assert [(bad.reason, bad.origin) for bad in rejected] == [(reason, "pope.tsv:3")]


def test_an_answer_that_is_no_option_is_set_aside(tmp_path):
    rows = [
        (1, "Which?", "", "red", "green", "", "", "C", "x", IMAGE),
        (2, "Which?", "", "red", "green", "", "", "A", "x", 1),
    ]
    questions, rejected = read_questions(write(tmp_path / "mmbench.tsv", MMBENCH, *rows), "mmbench")
    assert [question.index for question in questions] == ["2"]
    assert rejected[0].reason == "unknown answer"


def test_limit_counts_usable_questions(tmp_path):
    rows = [(0, "", "yes", IMAGE)] + [(i, "Is it?", "yes", 0) for i in range(1, 6)]
    questions, _ = read_questions(write(tmp_path / "pope.tsv", POPE, *rows), "pope", limit=3)
    assert [question.index for question in questions] == ["1", "2", "3"]


def test_files_that_cannot_be_used_say_why(tmp_path):
    with pytest.raises(QuestionFileError, match=r"missing\.tsv: no such benchmark file"):
        read_questions(tmp_path / "missing.tsv", "pope")
    with pytest.raises(QuestionFileError, match="no column 'category', which layout mme needs"):
        read_questions(write(tmp_path / "mme.tsv", POPE, (1, "?", "yes", IMAGE)), "mme")
    with pytest.raises(QuestionFileError, match="no usable question; the first was set aside as unknown answer"):
        read_questions(write(tmp_path / "none.tsv", POPE, (1, "?", "dunno", IMAGE)), "pope")
    (tmp_path / "bytes.tsv").write_bytes("\t".join(POPE).encode() + b"\n1\t\xff\xfe\tyes\tx\n")
    with pytest.raises(QuestionFileError, match="not UTF-8"):
        read_questions(tmp_path / "bytes.tsv", "pope")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(QuestionFileError, match="no column 'index'"):
        read_questions(tmp_path / "empty.tsv", "pope")

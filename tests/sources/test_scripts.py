"""Texts of any script: cut at sentence ends, asked about in their own script, or not at all."""

import random
import unicodedata

import pytest
import regex

from tests.sources.making import make
from unix_lib.records.shards import read_split
from unix_lib.sources.text.cloze import make_cloze
from unix_lib.sources.text.documents import cut_into_documents

ALPHABETS = {
    "chinese": ("春夏秋冬山水风云日月星辰天地人和花鸟鱼虫", "", "。", 2),
    "japanese": ("あいうえおかきくけこさしすせそ山川田中", "", "。", 2),
    "thai": ("กขคงจชซดตถทนบปผพมยรลวสหอ", "", " ", 2),
    "russian": ("абвгдежзиклмнопрстуфхцчшщэюя", " ", ". ", 6),
    "hindi": ("कखगघचछजझटठडढतथदधनपफबभमयरलवशषसह", " ", "। ", 5),
    "arabic": ("ابتثجحخدذرزسشصضطظعغفقكلمنهوي", " ", "؟ ", 5),
    "korean": ("가나다라마바사아자차카타파하", " ", ". ", 3),
    "german": ("abcdefghijklmnopqrstuvwxyzäöüß", " ", ". ", 6),
}


def text_of(language: str, number: int, words: int = 400) -> str:
    letters, space, stop, length = ALPHABETS[language]
    rng = random.Random(f"{language}/{number}")
    found = ["".join(rng.choices(letters, k=length)) for _ in range(words)]
    return "".join(word + (stop if place % 12 == 11 else space) for place, word in enumerate(found)).strip()


@pytest.mark.parametrize("language", ALPHABETS)
def test_questions_are_in_the_texts_own_script(language: str) -> None:
    documents = [text_of(language, number) for number in range(40)]
    questions = make_cloze(documents, 40, 1)
    assert len(questions) == 40
    letters, space, *_ = ALPHABETS[language]
    for question in questions:
        assert question.get("delimiter", " ") == space
        right = question["choices"][question["answer"]]
        assert any(document.startswith(question["question"] + space + right) for document in documents)
        assert len(set(question["choices"])) == 4
        for choice in question["choices"]:
            assert (set(choice) & set(letters) and not regex.search("[A-Za-z]", choice)) or language == "german"


@pytest.mark.parametrize("language", ["chinese", "japanese"])
def test_a_text_without_spaces_is_cut_at_the_ends_of_sentences(language: str) -> None:
    text = text_of(language, 1)
    documents = cut_into_documents(text, 100)
    assert "".join(documents) == text and len(documents) > 5
    assert all(document.endswith("。") for document in documents[:-1])


def test_no_cut_parts_a_letter_from_its_marks() -> None:
    text = unicodedata.normalize("NFD", "é") * 300 + "नि" * 300 + "👨‍👩‍👧" * 100
    documents = cut_into_documents(text, 101)
    assert "".join(documents) == text and all(0 < len(document) <= 101 for document in documents)
    whole = {found.end() for found in regex.finditer(r"\X", text)}
    assert {sum(map(len, documents[: index + 1])) for index in range(len(documents))} <= whole


def test_a_quote_stays_with_the_sentence_that_it_closes() -> None:
    text = "他说：“" + "好" * 60 + "。”" + "然后" * 40
    assert cut_into_documents(text, 100)[0].endswith("。”")


def test_a_source_that_can_make_no_question_makes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("\n\n".join(f"短{number}。" * 40 for number in range(30)), encoding="utf-8")
    made = make(tmp_path / "results", "short", kind="text", files=["*.txt"], held_out=0.02, document_characters=100)
    assert made["benchmarks"].manifest.facts["cloze_questions"] == 0
    assert (made["benchmarks"].folder / "benchmarks/cloze.jsonl").read_bytes() == b""


def test_a_chinese_source_makes_documents_and_questions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(text_of("chinese", number), encoding="utf-8")
    made = make(tmp_path / "results", "zh", kind="text", files=["*.txt"], held_out=0.3, document_characters=300)
    assert made["benchmarks"].manifest.facts["cloze_questions"] > 100
    texts = read_split(made["records"].folder, "train", ["text"])["text"].to_pylist()
    assert all(len(text) <= 300 for text in texts) and sum(text.endswith("。") for text in texts) > len(texts) / 2

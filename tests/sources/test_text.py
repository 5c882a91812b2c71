"""The `text` source: documents within their length, nothing lost but white space, a fair cloze benchmark."""

import io
import json
import os
import platform
import random
import re
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.sources.making import make, source_jobs
from unix_lib.artefacts.errors import UserError
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.outside import Outside
from unix_lib.config.sources import HeldOut
from unix_lib.records.shards import read_split
from unix_lib.sources.errors import SourceError
from unix_lib.sources.text import reference as prose_of
from unix_lib.sources.text.cloze import make_cloze
from unix_lib.sources.text.documents import _cut_paragraph, cut_into_documents, paragraphs_of
from unix_lib.sources.text.reference import docstrings_of, library_modules, reference_identity
from unix_lib.sources.text.spans import WORD


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return make(tmp_path_factory.mktemp("results"), "prose", kind="text")


def documents_of(folder, split):
    return read_split(folder, split, ["text"])["text"].to_pylist()


def cloze_of(folder):
    return [json.loads(line) for line in (folder / "benchmarks/cloze.jsonl").read_text(encoding="utf-8").splitlines()]


def story(number, paragraphs=4):
    """A text of its own: words that no other number's text has, among shared ones."""
    words = [f"{letter}{chr(97 + number % 26)}{chr(97 + number // 26)}" for letter in "klmnprst"]
    line = "the {} went over to the {} because it saw the {} there"
    blocks = [
        "\n".join(line.format(words[(i + j) % 8], words[(i + 2 * j + 1) % 8], words[(3 * i + j) % 8]) for j in range(4))
        for i in range(paragraphs)
    ]
    return "\n\n".join(blocks)


def write_stories(folder, count):
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:03d}.txt").write_text(story(number), encoding="utf-8")


@pytest.mark.parametrize("longest", [100, 137, 1200, 10**6])
def test_documents_are_short_enough_and_lose_only_white_space(longest):
    from pydoc_data.topics import topics

    for name in ("typesseq", "assert", "lambda"):
        documents = cut_into_documents(topics[name], longest)
        assert all(0 < len(document) <= longest for document in documents)
        assert "".join("".join(documents).split()) == "".join(topics[name].split())


def test_documents_are_cut_at_paragraph_borders_where_they_fit():
    text = "one one\n\n  two two\n   \nthree three\r\n\r\nfour"
    assert list(paragraphs_of(io.StringIO(text, newline=None))) == ["one one", "  two two", "three three", "four"]
    assert cut_into_documents(text, 18) == ["one one\n\n  two two", "three three\n\nfour"]
    assert cut_into_documents(text, 1000) == ["one one\n\n  two two\n\nthree three\n\nfour"]


@pytest.mark.parametrize(
    ("text", "longest", "documents"),
    [
        ("", 10, []),
        (" \n\n \n", 10, []),
        ("aaaa bbbb cccc", 9, ["aaaa bbbb", "cccc"]),
        ("aaaa\nbbb cccc", 9, ["aaaa", "bbb cccc"]),
        ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
        ("aaaaaaaaaa", 10, ["aaaaaaaaaa"]),
        ("aaaaaaaaaaaa\n\nbb", 10, ["aaaaaaaaaa", "aa\n\nbb"]),
    ],
)
def test_where_long_paragraphs_are_cut(text, longest, documents):
    assert cut_into_documents(text, longest) == documents


def cut_slowly(paragraph, longest):
    """The rule as it is said, copying what is left at every cut."""
    pieces = []
    while len(paragraph) > longest:
        head = paragraph[: longest + 1]
        cut = max(head.rfind("\n"), 0) or max(head.rfind(" "), 0) or longest
        if not paragraph[:cut].strip():
            cut = longest
        pieces.append(paragraph[:cut].rstrip() or paragraph[:cut])
        paragraph = paragraph[cut:].lstrip()
    return [*pieces, paragraph] if paragraph else pieces


def test_a_long_line_is_cut_as_the_rule_says():
    rng = random.Random(3)
    for _ in range(300):
        paragraph = "x" + "".join(rng.choices("ab  \n\t\u2003é", k=rng.randint(0, 400))).rstrip()
        paragraph = re.sub(r"\n[ \t]*\n", "\n", re.sub(r"\n+", "\n", paragraph))
        longest = rng.randint(1, 60)
        if list(paragraphs_of(io.StringIO(paragraph))) == [paragraph]:
            assert cut_into_documents(paragraph, longest) == cut_slowly(paragraph, longest)


class Counted(str):
    """A text that counts the characters that are copied from it."""

    copied = 0

    def __getitem__(self, key):
        return self._counted(super().__getitem__(key))

    def lstrip(self, characters=None):
        return self._counted(super().lstrip(characters))

    @classmethod
    def _counted(cls, piece):
        cls.copied += len(piece)
        return cls(piece)


def test_a_text_of_one_line_is_not_copied_at_every_cut():
    copied = []
    for cut in (_cut_paragraph, cut_slowly):
        Counted.copied = 0
        text = Counted("word " * 20_000 + "end")
        assert "".join(cut(text, 1200)).replace(" ", "") == text.replace(" ", "")
        copied.append(Counted.copied)
    assert copied[0] < 5 * len(text) < copied[1]


def test_docstrings_are_read_without_running_the_module(tmp_path):
    mark = tmp_path / "ran"
    source = (
        f'"""Of the module.\n\n    Indented.\n    """\nopen({str(mark)!r}, "w")\n'
        'class A:\n    """Of the class."""\n    async def f(self):\n        "Of the method."\n'
        'def g():\n    """   """\n    "not a docstring"\nx = "no docstring"\n'
    )
    assert docstrings_of(source) == ["Of the module.\n\nIndented.", "Of the class.", "Of the method."]
    assert not mark.exists()


def test_the_library_is_read_without_importing_it_tests_or_packages(reference):
    folder, manifest = reference["records"].folder, reference["records"].manifest
    assert not {"antigravity", "this", "turtle", "tkinter"} & set(sys.modules)
    ids = [i for s in ("train", "heldout") for i in read_split(folder, s, ["sample_id"])["sample_id"].to_pylist()]
    assert len(ids) == len(set(ids))
    names = {sample_id.split("#")[0] for sample_id in ids}
    assert {"topics/assert", "library/argparse.py", "library/email/message.py"} <= names
    assert not [n for n in names if "/test/" in n or "site-packages" in n or "idlelib" in n or "lib2to3" in n]
    assert set(manifest.rejected) <= {"duplicate document"}


def test_library_modules_leave_out_tests_and_packages(tmp_path):
    for name in ("b.py", "a.py", "p/c.py", "test/t.py", "p/tests/t.py", "site-packages/x.py", "sitecustomize.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [p.relative_to(tmp_path).as_posix() for p in library_modules(tmp_path)] == ["a.py", "b.py", "p/c.py"]


def test_the_reference_corpus_is_large_enough_and_split_clean(reference):
    folder, manifest = reference["records"].folder, reference["records"].manifest
    train, heldout = documents_of(folder, "train"), documents_of(folder, "heldout")
    assert not set(train) & set(heldout)
    assert len(train) + len(heldout) == len({*train, *heldout})
    assert manifest.facts["train_characters"] == sum(map(len, train)) > 1_000_000
    assert manifest.facts["heldout_characters"] == sum(map(len, heldout))
    rule = HeldOut()
    assert all(rule.holds_out(text) for text in heldout) and not any(rule.holds_out(text) for text in train)
    assert len(heldout) / (len(train) + len(heldout)) == pytest.approx(rule.share, abs=0.015)
    assert max(map(len, train)) <= 1200


def test_cloze_questions_continue_held_out_documents(reference):
    questions = cloze_of(reference["benchmarks"].folder)
    assert len(questions) == reference["benchmarks"].manifest.facts["cloze_questions"] == 200
    heldout = documents_of(reference["records"].folder, "heldout")
    for question in questions:
        assert set(question) == {"question", "choices", "answer"}
        right = question["choices"][question["answer"]]
        beginning = f"{question['question']} "
        assert any(document.startswith(beginning + right) for document in heldout)
        for place, choice in enumerate(question["choices"]):
            assert WORD.findall(choice) == [choice]
            assert sum(document.startswith(beginning + choice) for document in heldout) == (place == question["answer"])


def test_cloze_choices_alone_give_nothing_away(reference):
    questions = cloze_of(reference["benchmarks"].folder)
    assert Counter(q["answer"] for q in questions) == dict.fromkeys(range(4), 50)
    right = Counter()
    for question in questions:
        lengths = [len(choice) for choice in question["choices"]]
        assert max(lengths) - min(lengths) <= 3
        assert len(set(question["choices"])) == 4
        right[(tuple(sorted(question["choices"])), question["choices"][question["answer"]])] += 1
    by_block = {}
    for (choices, _), count in right.items():
        by_block.setdefault(choices, []).append(count)
    assert all(len(counts) == 4 and len(set(counts)) == 1 for counts in by_block.values())


def test_cloze_can_be_answered_by_reading(reference):
    """Counting which choice shares most words with the beginning already beats a guesser."""
    correct = 0
    for question in cloze_of(reference["benchmarks"].folder):
        context = set(question["question"].lower().split())
        shared = [len(context & set(choice.lower().split())) for choice in question["choices"]]
        correct += shared.index(max(shared)) == question["answer"]
    assert correct / 200 > 0.25 + 2 * 0.031  # two standard errors of 200 guesses


def test_cloze_takes_what_the_documents_give():
    assert make_cloze([], 8, 1) == []
    assert make_cloze([story(1)], 8, 1) == []
    documents = [story(n) for n in range(40)]
    assert make_cloze(documents, 0, 1) == []
    assert len(make_cloze(documents, 10, 1)) == 8
    assert make_cloze(documents, 12, 1) == make_cloze(documents, 12, 1) != make_cloze(documents, 12, 2)


def test_making_it_twice_gives_the_same_content(tmp_path):
    first, again = (make(tmp_path / name, "prose", kind="text", max_characters=600_000) for name in ("a", "b"))
    assert set(first) == {"records", "benchmarks"}
    for what in first:
        assert first[what].manifest.digest == again[what].manifest.digest


def test_only_the_reference_tells_that_it_depends_on_python():
    def notices(**settings):
        outside = Outside(Path.cwd(), FileHashes(None))
        values = {"experiment": "one", "sources": {"mine": {"kind": "text", **settings}}}
        return Experiment.model_validate(values).notices(outside), outside

    (line,), outside = notices()
    assert f"sources.mine: the prose is the reference of Python {platform.python_version()}" in line
    assert reference_identity(outside.hashes).sha256[:12] in line and "other results" in line
    assert notices(corpus="files", files=["*.txt"])[0] == []


def test_max_characters_ends_the_corpus(tmp_path):
    made = make(tmp_path, "prose", held_out=0.3, kind="text", max_characters=60_000, cloze_questions=4)
    facts = made["records"].manifest.facts
    assert 58_800 <= facts["train_characters"] + facts["heldout_characters"] <= 60_000
    assert made["benchmarks"].manifest.facts["cloze_questions"] == 4


def test_a_users_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stories(tmp_path / "texts", 40)
    (tmp_path / "texts" / "bad.txt").write_bytes(b"latin \xe9t\xe9")
    (tmp_path / "texts" / "empty.txt").write_text(" \n\n")
    (tmp_path / "texts" / "copy.txt").write_text(story(0), encoding="utf-8")
    (tmp_path / "texts" / "deeper.txt").mkdir()
    made = make(
        tmp_path / "results",
        "mine",
        kind="text",
        corpus="files",
        files=["texts/*.txt", "texts/00*.txt"],
        cloze_questions=8,
        held_out=0.4,
    )
    folder, manifest = made["records"].folder, made["records"].manifest
    assert len(cloze_of(made["benchmarks"].folder)) == 8
    assert manifest.rejected == {"duplicate document": 1, "empty text": 1, "not UTF-8": 1}
    rejected = {row["origin"]: row["reason"] for row in pq.read_table(folder / "rejected.parquet").to_pylist()}
    assert rejected["texts/bad.txt"] == "not UTF-8" and rejected["texts/empty.txt"] == "empty text"
    documents = documents_of(folder, "train") + documents_of(folder, "heldout")
    assert sorted(documents) == sorted(story(n) for n in range(40))
    ids = read_split(folder, "train", ["sample_id"])["sample_id"].to_pylist()
    assert all(Path(name.split("#")[0]).parent.name == "texts" for name in ids)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"files": ["nothing/*.txt"]}, r"sources\.mine\.files: 'nothing/\*\.txt' matches no file"),
    ],
)
def test_too_little_text_is_one_line_with_a_remedy(tmp_path, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    write_stories(tmp_path / "texts", 3)
    with pytest.raises(SourceError, match=message):
        make(tmp_path / "results", "mine", kind="text", corpus="files", **more)


def test_an_empty_corpus_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9")
    (tmp_path / "wide.txt").write_bytes("words".encode("utf-16-le"))  # which is UTF-8 with a NUL behind every letter
    told = r"sources\.mine: no usable text \(1 x empty text, 1 x not UTF-8, 1 x not plain text\); add text"
    with pytest.raises(SourceError, match=told):
        make(tmp_path / "results", "mine", kind="text", corpus="files", files=["*.txt"])
    assert list(tmp_path.glob("results/sources/*/rejected.parquet"))


def test_a_file_that_changed_after_the_plan_was_made_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stories(tmp_path / "texts", 3)
    job = source_jobs(tmp_path / "results", "mine", kind="text", corpus="files", files=["texts/*.txt"])["records"]
    path = tmp_path / "texts" / "001.txt"
    before = path.read_text(encoding="utf-8")
    path.write_text(story(9), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    with pytest.raises(UserError, match=r"^sources/mine-\w+: files .* changed after the plan was made; run again"):
        job.make()
    path.write_text(before, encoding="utf-8")
    job.make()


def test_another_pythons_reference_is_refused(tmp_path, monkeypatch):
    job = source_jobs(tmp_path, "prose", kind="text")["records"]
    read = prose_of.docstrings_of
    monkeypatch.setattr(prose_of, "docstrings_of", lambda source: [f"Another version. {text}" for text in read(source)])
    for remembered in (prose_of._reference, prose_of._described):  # a job is a process of its own
        monkeypatch.setattr(prose_of, remembered.__name__, remembered.__wrapped__)
    with pytest.raises(
        UserError, match=r"^sources/prose-\w+: corpus python-reference, here that of Python 3.* changed"
    ):
        job.make()


def test_a_limit_that_leaves_nothing_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no usable text \(max_characters 1 leaves out the rest\)"):
        make(tmp_path / "results", "mine", kind="text", max_characters=1)


def test_a_file_name_that_is_not_utf8_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_stories(tmp_path / "texts", 3)
    (tmp_path / "texts" / os.fsdecode(b"caf\xe9.txt")).write_text(story(7), encoding="utf-8")
    (tmp_path / "texts" / os.fsdecode(b"\xe9.txt")).write_text(story(7), encoding="utf-8")
    made = make(tmp_path / "results", "mine", kind="text", corpus="files", files=["texts/*.txt"], cloze_questions=0)
    assert set(made) == {"records"}
    assert made["records"].manifest.rejected == {"duplicate document": 1}
    folder = made["records"].folder
    ids = [i for s in ("train", "heldout") for i in read_split(folder, s, ["sample_id"])["sample_id"].to_pylist()]
    assert len(ids) == 4 and "texts/caf\\udce9.txt#0" in ids


def test_linked_folders_are_read_and_what_cannot_be_is_set_aside(tmp_path, monkeypatch, unreadable):
    monkeypatch.chdir(tmp_path)
    write_stories(tmp_path / "texts", 3)
    write_stories(tmp_path / "elsewhere" / "inner", 5)
    (tmp_path / "texts" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "texts")
    (tmp_path / "texts" / "nowhere.txt").symlink_to(tmp_path / "absent.txt")
    os.mkfifo(tmp_path / "texts" / "pipe.txt")
    unreadable(tmp_path / "texts" / "001.txt")
    made = make(tmp_path / "results", "mine", kind="text", corpus="files", files=["texts/**/*.txt"], cloze_questions=0)[
        "records"
    ]
    rejected = pq.read_table(made.folder / "rejected.parquet").to_pylist()
    assert {row["sample_id"] for row in rejected if row["reason"] == "unreadable file"} == {
        f"texts/{name}.txt" for name in ("001", "nowhere", "pipe")
    }
    rows = [row for split in ("train", "heldout") for row in read_split(made.folder, split).to_pylist()]
    kept = {row["sample_id"].partition("#")[0] for row in rows}
    linked = {f"texts/linked/inner/{number:03}.txt" for number in range(5)}
    duplicates = {row["origin"] for row in rejected if row["reason"] == "duplicate document"}
    assert kept | duplicates == {"texts/000.txt", "texts/002.txt", *linked}

"""The `conversations` source: every layout in every form, bad rows set aside with a reason, none lost."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.making import make
from unix_lib.records.shards import read_split
from unix_lib.sources.conversations.kind import ConversationColumns
from unix_lib.sources.conversations.layouts import messages_of
from unix_lib.sources.errors import BadRow, SourceError

TURNS = [("system", "Be brief."), ("user", "Was ist das?"), ("assistant", "一只狗。")]
MESSAGES = [{"role": role, "content": content} for role, content in TURNS]
NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
ROWS = {
    "messages": {"messages": MESSAGES},
    "messages of parts": {
        "messages": [{"role": role, "content": [{"type": "text", "text": content}]} for role, content in TURNS]
    },
    "messages as JSON": {"messages": json.dumps(MESSAGES)},
    "sharegpt": {"conversations": [{"from": NAMES[role], "value": content} for role, content in TURNS]},
    "openorca": {"system_prompt": "Be brief.", "question": "Was ist das?", "response": "一只狗。"},
    "alpaca": {"instruction": "Was ist das?", "input": "", "output": "一只狗。"},
}


def read(row, layout="auto", **columns):
    return messages_of(row, layout, ConversationColumns(**columns))


@pytest.mark.parametrize("name", ROWS)
def test_every_layout_gives_the_same_messages(name):
    assert read(ROWS[name]) == (MESSAGES[1:] if name == "alpaca" else MESSAGES)


def test_what_an_instruction_is_about_follows_it():
    row = {"instruction": "Translate.", "input": "a dog", "output": "ein Hund"}
    assert read(row)[0] == {"role": "user", "content": "Translate.\n\na dog"}


def test_an_empty_system_prompt_is_none_and_columns_may_have_other_names():
    row = {"system_prompt": "", "q": "a", "response": "b"}
    assert read(row, question="q") == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


USER, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
BAD = [
    ({}, "no layout"),
    ({"messages": None, "question": "a"}, "no layout"),
    ({"messages": []}, "turns that can't be read"),
    ({"messages": 7}, "turns that can't be read"),
    ({"messages": "[{"}, "turns that can't be read"),
    ({"messages": [None]}, "turns that can't be read"),
    ({"messages": [{"role": 3, "content": "a"}]}, "turns that can't be read"),
    ({"messages": [USER, {"role": "tool", "content": "b"}]}, "unknown role"),
    ({"messages": [USER]}, "no answer"),
    ({"messages": [USER, ANSWER, USER]}, "no answer"),
    ({"messages": [USER, USER, ANSWER]}, "turns out of order"),
    ({"messages": [ANSWER, USER, ANSWER]}, "turns out of order"),
    ({"messages": [USER, {"role": "system", "content": "c"}, ANSWER]}, "turns out of order"),
    ({"messages": [USER, {"role": "assistant", "content": "  "}]}, "empty turn"),
    ({"messages": [USER, {"role": "assistant", "content": 5}]}, "not plain text"),
    ({"messages": [USER, {"role": "assistant", "content": [{"type": "image"}]}]}, "not plain text"),
    ({"messages": [USER, {"role": "assistant", "content": "a\0"}]}, "not plain text"),
    ({"question": "a", "response": ["b"]}, "not plain text"),
    ({"instruction": "a", "output": ""}, "empty turn"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_a_bad_row_is_told_by_its_reason(row, reason):
    with pytest.raises(BadRow) as caught:
        read(row)
    assert caught.value.reason == reason


def written(folder, form, rows):
    folder.mkdir(parents=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    elif form == "json":
        (folder / "a.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    elif form == "jsonl.gz":
        (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    else:
        (folder / "a.jsonl").write_text(lines, encoding="utf-8")


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "json", "parquet"])
@pytest.mark.parametrize("layout", ["messages", "sharegpt", "openorca", "alpaca"])
def test_rows_in_are_rows_kept_left_out_and_set_aside(tmp_path, monkeypatch, form, layout):
    monkeypatch.chdir(tmp_path)
    rows = [
        json.loads(json.dumps(ROWS[layout]).replace("Was", f"Was {number}")) | {"score": number} for number in range(60)
    ]
    rows += [dict.fromkeys(ROWS[layout]) | {"score": 50}, rows[40]]
    written(tmp_path / "data", form, rows)
    settings = {"kind": "conversations", "files": ["data/*"], "filter": [["score", ">=", 20]]}
    made = make(tmp_path / "results", "chats", held_out=0.3, **settings)["records"]
    kept = [row for split in ("train", "heldout") for row in read_split(made.folder, split).to_pylist()]
    facts = made.manifest.facts
    assert facts["rows_read"] == 62 and facts["rows_left_out"] == 20
    assert made.manifest.rejected == {"no layout": 1, "duplicate conversation": 1}
    assert len(kept) == 40 == facts["train_records"] + facts["heldout_records"]
    assert facts["heldout_records"] > 0
    assert {row["messages"][-1]["content"] for row in kept} == {"一只狗。"}
    assert len({row["sample_id"] for row in kept}) == 40


def test_a_limit_takes_the_first_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "data", "jsonl", [{"instruction": f"a {number}", "output": "b"} for number in range(30)])
    made = make(tmp_path / "results", "chats", kind="conversations", files=["data/*"], limit=7)["records"]
    assert made.manifest.facts["rows_read"] == 7
    ids = [i for s in ("train", "heldout") for i in read_split(made.folder, s, ["sample_id"])["sample_id"].to_pylist()]
    assert sorted(ids) == [f"data/a.jsonl:{number}" for number in range(1, 8)]


def test_a_source_without_a_usable_row_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "data", "jsonl", [{"text": "a"}])
    with pytest.raises(SourceError, match=r"sources\.chats: no usable conversation \(1 x no layout\); correct 'files'"):
        make(tmp_path / "results", "chats", kind="conversations", files=["data/*"])

"""`unix-lib translate file`: tables of every form, all columns kept, rows in = rows translated + rows set aside."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.endpoints.fake import Body, Reply, completion, endpoint
from tests.records.mutations import damaged
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.tables import read_table
from unix_lib.translate.files import read_items, write_items
from unix_lib.translate.rows import Item, translated
from unix_lib.translate.translator import Outcome

Rows = list[dict[str, Any]]
ROWS: Rows = [{"image": f"{number}.png", "caption": f'a "dog", {number} times', "score": number} for number in range(9)]
TRANSLATED = [row | {"caption": f"ein {row['caption']}"} for row in ROWS]


def german(body: Body) -> Reply:
    return completion(f"ein {body['messages'][-1]['content']}")


def json_lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def delimited(delimiter: str) -> Callable[[Rows], bytes]:
    def text(rows: Rows) -> bytes:
        quoted = [[f'"{str(value).replace(chr(34), chr(34) * 2)}"' for value in row.values()] for row in rows]
        return "".join(delimiter.join(row) + "\n" for row in [list(rows[0]), *quoted]).encode()

    return text


def parquet(rows: Rows) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


FORMS: dict[str, Callable[[Rows], bytes]] = {
    ".jsonl": json_lines,
    ".json": lambda rows: json.dumps(rows).encode(),
    ".csv": delimited(","),
    ".tsv": delimited("\t"),
    ".parquet": parquet,
}


def command(folder: Path, file: Path, *options: str) -> list[str]:
    order = ["translate", "file", str(file), "--language", "German", "--model", "some-model"]
    return [*order, "--answers", str(folder / "answers"), *options]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, UserError):
        raise result.exception
    return result.exit_code, result.output


def table(path: Path) -> Rows:
    rows = list(read_table(path, [], optional=None))
    assert not any(row.fault for row in rows)
    # A CSV knows texts only.
    return [{name: str(value) for name, value in row.values.items()} for row in rows]


def as_texts(rows: Rows) -> Rows:
    return [{name: str(value) for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("suffix", FORMS)
def test_a_file_comes_out_in_its_own_form(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"captions{suffix}"
    file.write_bytes(FORMS[suffix](ROWS))
    with endpoint(german) as server:
        code, _ = run(*command(tmp_path, file, "--column", "caption", "--url", server.url))
    assert code == 0
    assert table(tmp_path / f"captions-translated{suffix}") == as_texts(TRANSLATED)
    assert table(file) == as_texts(ROWS)
    with_both = tmp_path / f"both{suffix}"  # and once more, from what is kept
    run(*command(tmp_path, file, "--column", "caption", "--into", "caption_de", "--output", str(with_both)))
    both = [row | {"caption_de": new["caption"]} for row, new in zip(ROWS, TRANSLATED, strict=True)]
    assert table(with_both) == as_texts(both)
    assert len(server.seen) == len(ROWS)


def test_texts_in_lists_are_found_by_their_path(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A dog."}]
    file = tmp_path / "llava.json"
    file.write_text(json.dumps([{"id": "1", "image": "a.jpg", "conversations": turns}, {"id": "2"}]))
    with endpoint(german) as server:
        code, shown = run(*command(tmp_path, file, "--column", "conversations.value", "--url", server.url))
    assert code == 0 and "1 rows translated" in shown
    (row,) = json.loads((tmp_path / "llava-translated.json").read_text())
    new = [turns[0] | {"value": "<image>\nein What is it?"}, turns[1] | {"value": "ein A dog."}]
    assert row == {"id": "1", "image": "a.jpg", "conversations": new}
    (aside,) = map(json.loads, (tmp_path / "llava-translated-rejected.jsonl").read_text().splitlines())
    assert (aside["origin"], aside["detail"]) == ("llava.json:2", "has no 'conversations'")


def test_rows_that_are_none_are_set_aside_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "captions.jsonl"
    faulty = [b"{not json\n", json_lines([{"caption": 7}]), b'{"caption": "half \\ud83d"}\n', b'{"image": "x"}\n']
    file.write_bytes(json_lines(ROWS) + b"".join(faulty) + b'{"caption": null, "other": "\\ud83d"}\n')
    with endpoint(german) as server:
        code, shown = run(*command(tmp_path, file, "--column", "caption", "--url", server.url))
    assert code == 0
    assert "10 rows translated" in shown and "2 not a text, 2 unreadable row" in shown
    assert len((tmp_path / "captions-translated-rejected.jsonl").read_text().splitlines()) == len(faulty)
    assert table(tmp_path / "captions-translated.jsonl")[:-1] == as_texts(TRANSLATED)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_an_empty_cell_spoils_no_row(suffix: str, tmp_path: Path) -> None:
    """As DPG-Bench's file has them, whose prompts alone are translated; nothing is asked of what is empty."""
    full = {"item_id": "a", "text": "A dog, big.", "keywords": "", "dependency": "1", "tuple": "entity (dog)"}
    rows = [{**full, **dict.fromkeys(empty, "")} for empty in ([], ["tuple"], ["text", "dependency"], list(full)[1:])]
    file = tmp_path / f"dpg{suffix}"
    file.write_bytes(FORMS[suffix](rows))
    with endpoint(german) as server:
        code, _ = run(*command(tmp_path, file, "--column", "text", "--url", server.url))
    expected = [row | {"text": row["text"] and f"ein {row['text']}"} for row in rows]
    assert (code, table(tmp_path / f"dpg-translated{suffix}"), len(server.seen)) == (0, expected, 1)
    assert not (tmp_path / "dpg-translated-rejected.jsonl").exists()


def test_what_is_null_in_a_list_has_no_text() -> None:
    rejected = RejectedSamples()
    values = {"captions": ["a", None, ["b", None]], "turns": [None, {"value": None}, {"value": "c"}], "none": None}
    paths = {"captions": "captions", "turns.value": "turns", "none": "none"}
    (row,) = translated(
        [Item("row-1", "some:1", 1, values)], paths, lambda texts: {t: t.upper() for t in texts}, rejected
    )
    assert len(rejected) == 0
    assert row.values == {
        "captions": ["A", None, ["B", None]],
        "turns": [None, {"value": None}, {"value": "C"}],
        "none": None,
    }


@pytest.mark.parametrize("suffix", FORMS)
def test_no_row_is_lost_whatever_is_done_to_a_file(suffix: str, tmp_path: Path) -> None:
    file, output = tmp_path / f"damaged{suffix}", tmp_path / f"new{suffix}"
    whole, used, set_aside = FORMS[suffix](ROWS * 3), 0, 0
    for number in range(150):
        data = damaged(whole, f"{suffix}/{number}")
        file.write_bytes(data)
        rejected = RejectedSamples()
        try:
            items = translated(read_items(file, ["caption"]), {"caption": "caption"}, same, rejected)
            kept = write_items(output, items, file)
        except UserError as error:
            assert "None" not in str(error)
            continue
        rows = list(read_table(file, ["caption"], optional=None))
        assert kept + len(rejected) == len(rows)
        if kept:
            assert len(list(read_table(output, ["caption"]))) == kept
        used, set_aside = used + 1, set_aside + len(rejected)
    assert used > 75 or suffix == ".parquet"
    assert set_aside > 0


def same(texts: Iterable[str]) -> dict[str, Outcome]:
    return {text: text for text in texts}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--column", "captoin"], "captions.csv: it has no column 'captoin'; its columns are image, caption, score"),
        (["--column", "caption", "--output", "captions.tsv"], "the output has the form of the input; .*ends in .csv"),
        (["--column", "caption", "--output", "{file}"], "the output would take its place; give another --output"),
        (["--column", "caption", "--parameters", '{"seed": 3}'], "--parameters: .*'seed' does not belong here"),
        (["--column", "caption", "--parameters", "max"], "--parameters: .*dictionary"),
        (["--column", "caption", "--url", "localhost"], "--url: .*pattern"),
        (["--column", "caption", "--column", "image", "--into", "new"], "--into new is one column"),
        (["--column", "caption"], "a text has no answer in .*, and no endpoint is named"),
    ],
)
def test_what_can_t_be_done_is_one_line(options: list[str], message: str, tmp_path: Path) -> None:
    file = tmp_path / "captions.csv"
    file.write_bytes(FORMS[".csv"](ROWS))
    with pytest.raises(UserError, match=message):
        run(*command(tmp_path, file, *(option.replace("{file}", str(file)) for option in options)))

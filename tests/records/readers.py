"""Every reader of files of rows: a well-formed file of each, and how many rows it keeps and sets aside."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tests.images.pictures import noise
from tests.records.mutations import physical_lines
from unix_lib.artefacts.errors import UserError
from unix_lib.benchmarks.cloze import read_cloze
from unix_lib.benchmarks.dpg import COLUMNS, DPGPrompt, read_dpg
from unix_lib.benchmarks.geneval_prompts import read_prompts
from unix_lib.benchmarks.question_files import LAYOUTS, read_questions
from unix_lib.benchmarks.settings import Layout
from unix_lib.benchmarks.wordings import BLANK, read_wordings
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.kinds import find_kind
from unix_lib.config.outside import Outside
from unix_lib.config.sources import HeldOut, SourceKind
from unix_lib.evaluate.scene_files import read_scenes
from unix_lib.generate.wishes import wishes_of
from unix_lib.records.rejected import RejectedSamples
from unix_lib.sources.conversations.kind import PlannedConversations
from unix_lib.sources.conversations.layouts import messages_of, named_columns
from unix_lib.sources.errors import BadRow
from unix_lib.sources.image_folder.rows import judged_rows
from unix_lib.sources.in_place.images import rows_of
from unix_lib.sources.rows import NO_TABLE, TakenRows
from unix_lib.sources.text.files import documents_in
from unix_lib.sources.text.kind import PlannedText

ROWS = 40
TABLES = "unix_lib.records.tables"
Counts = tuple[int, int]  # rows kept, rows set aside


@dataclass(frozen=True)
class Reader:
    """A reader of one layout."""

    file: str
    module: str  # that cuts the file into rows
    whole: bytes
    read: Callable[[Path], Counts]
    kinds: tuple[str, ...] = ()  # that read it, each as "sort name"
    heading: int = 0  # lines before the rows
    begins: bytes = b""  # pattern of how a row begins, where a quoted field may run over lines
    refuses: bool = False  # the project's own files, of which all lines are needed

    def rows_of(self, data: bytes) -> list[bytes]:
        return physical_lines(data, b" " if self.begins else None)[self.heading :]

    def bounds(self, data: bytes) -> Counts:
        """How many rows a file has at least and at most, by its bytes: a line within quotes may continue a row."""
        rows = self.rows_of(data)
        continued, quotes = 0, 0
        for row in rows:
            begins = not self.begins or re.match(self.begins, row) is not None
            continued += quotes % 2 and not begins
            quotes = row.count(b'"') + (0 if begins else quotes)
        return len(rows) - continued, len(rows)


@dataclass(frozen=True)
class TextReader(Reader):
    """A reader of texts, whose rows are characters other than white space."""

    def rows_of(self, data: bytes) -> list[bytes]:
        return [character.encode() for character in "".join(data.decode("utf-8-sig", "replace").split())]

    def bounds(self, data: bytes) -> Counts:
        return (len(self.rows_of(data)),) * 2


def readers(folder: Path) -> list[Reader]:
    """All of them; `folder` gets what their files name."""
    for index in range(ROWS):
        noise(8, 8, index).save(folder / f"{index}.png")
    captions = [{"image": f"{index}.png", "caption": f'a "dog", é, {index}'} for index in range(ROWS)]
    caption_lines = ["image,caption", *(f'{row["image"]},"{_doubled(row["caption"])}"' for row in captions)]
    caption_lines[1::2] = [f"{row['image']},a dog" for row in captions[::2]]
    folder_kinds = ("source image_folder",)
    cloze = [{"question": f"a dog é {index}", "choices": ["a", "b"], "answer": 1} for index in range(ROWS)]
    clauses = [{"class": "dog", "count": 1, "color": "red"}, {"class": "cat", "count": 1, "position": ["left of", 0]}]
    prompts = [{"tag": "position", "prompt": f"a dog é {index}", "include": clauses} for index in range(ROWS)]
    asked = [{"prompt": f"a dog é {index}", "seed": index} for index in range(ROWS)]
    texts = [{"id": index, "text": f'a "dog", é, {index}'} for index in range(ROWS)]
    chats = [
        {"conversations": [{"from": "human", "value": f"a dog é {index}"}, {"from": "gpt", "value": "yes"}]}
        for index in range(ROWS)
    ]
    text = "".join(f"Paragraph {index} of é words.\nAnother line.\n\n" for index in range(ROWS))
    return [
        *(_question_reader(layout) for layout in get_args(Layout)),
        Reader(
            "captions.csv",
            "unix_lib.sources.image_folder.captions",
            "\n".join([*caption_lines, ""]).encode(),
            lambda path: _judged(path, folder),
            folder_kinds,
            heading=1,
            begins=rb"\d+\.png,",
        ),
        Reader(
            "captions.jsonl",
            "unix_lib.sources.image_folder.captions",
            _json_lines(captions),
            lambda path: _judged(path, folder),
            folder_kinds,
        ),
        TextReader("prose.txt", "unix_lib.sources.text.files", text.encode(), _characters, ("source text",)),
        Reader("texts.jsonl", TABLES, _json_lines(texts), _texts, ("source text",)),
        Reader(
            "texts.tsv",
            TABLES,
            "\n".join(["id\ttext", *(f'{index}\t"a ""dog"", é, {index}"' for index in range(ROWS)), ""]).encode(),
            _texts,
            ("source text",),
            heading=1,
            begins=rb"\d+\t",
        ),
        Reader("chats.jsonl", TABLES, _json_lines(chats), _conversations, ("source conversations",)),
        Reader(
            "pairs.tsv",
            TABLES,
            "\n".join(
                ["image\tcaption", *(f"aW1hZ2U{index:02}\ta dog é {index}" for index in range(ROWS)), ""]
            ).encode(),
            lambda path: _drafted(path, "image_pairs"),
            ("source image_pairs",),
            heading=1,
            begins=rb"aW1hZ2U\d\d\t",
        ),
        Reader(
            "lines.jsonl",
            TABLES,
            _json_lines([{"data_type": "text", "text": f'a "dog", é, {index}'} for index in range(ROWS)]),
            lambda path: _drafted(path, "jsonl"),
            ("source jsonl",),
        ),
        Reader(
            "cloze.jsonl", "unix_lib.benchmarks.rows", _json_lines(cloze), _counted(read_cloze), ("scorer lm_eval",)
        ),
        Reader(
            "geneval.jsonl",
            "unix_lib.benchmarks.rows",
            _json_lines(prompts),
            _counted(read_prompts),
            ("scorer geneval",),
        ),
        *(
            Reader(
                name,
                "unix_lib.benchmarks.wordings",
                data,
                _placed,
                ("scorer geneval",),
                refuses=True,
            )
            for name, data in (
                ("wordings.txt", b"".join(b"a dog %d\n" % n for n in range(ROWS))),
                ("wordings.jsonl", _json_lines([{"prompt": f"a dog é {index}"} for index in range(ROWS)])),
            )
        ),
        Reader(
            "dpg.csv",
            "unix_lib.benchmarks.dpg",
            "\n".join([",".join([*COLUMNS, "keywords"]), *(_dpg_row(index) for index in range(ROWS)), ""]).encode(),
            lambda path: _propositions(*read_dpg(path)),
            ("scorer dpg",),
            heading=1,
            begins=rb"item\d+,",
        ),
        Reader(
            "scenes.jsonl",
            "unix_lib.evaluate.scene_files",
            _json_lines([[{"objects": []}] for _ in range(ROWS)]),
            lambda path: (len(read_scenes(path)), 0),
            refuses=True,
        ),
        Reader("asked.jsonl", "unix_lib.generate.wishes", _json_lines(asked), _requested),
        Reader("asked.txt", "unix_lib.generate.wishes", b"".join(b"a dog %d\n" % n for n in range(ROWS)), _requested),
    ]


def _question_reader(layout: Layout) -> Reader:
    columns = list(LAYOUTS[layout]) + ["hint"] * (layout == "mmbench")
    lines = ["\t".join(columns)]
    for index in range(ROWS):
        values = {
            "index": str(index),
            "question": f'Is there a "{index}" dog?' if index % 3 else f'"Is it, ""{index}"" a dog?"',
            "answer": "A" if "A" in columns else "yes",
            "image": base64.b64encode(hashlib.sha512(bytes([index])).digest()).decode(),
        }
        lines.append("\t".join(values.get(column, f"a {column}") for column in columns))
    return Reader(
        f"{layout}.tsv",
        "unix_lib.benchmarks.question_files",
        "\n".join([*lines, ""]).encode(),
        _counted(lambda path: read_questions(path, layout)),
        ("scorer multiple_choice" if "A" in columns else "scorer yes_no",),
        heading=1,
        begins=rb"\d+\t",
    )


def _dpg_row(index: int) -> str:
    text = f'"A ""dog"", é, {index}."' if index % 3 else f"A dog {index}"
    return f'item{index},{text},1,0,"entity - whole (dog, {index})",Is it {index}?,'


def _propositions(prompts: Sequence[DPGPrompt], rejected: Sequence[Any]) -> Counts:
    return sum(len(item.propositions) for item in prompts), len(rejected)


def _placed(path: Path) -> Counts:
    texts, faults = read_wordings(path, ROWS)
    return len(texts), sum(fault.detail != BLANK for fault in faults.values())  # a blank line is no row


def _json_lines(rows: Sequence[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _doubled(text: str) -> str:
    return text.replace('"', '""')


def _counted(read: Callable[[Path], tuple[Sequence[Any], Sequence[Any]]]) -> Callable[[Path], Counts]:
    def counts(path: Path) -> Counts:
        kept, rejected = read(path)
        return len(kept), len(rejected)

    return counts


def _judged(path: Path, folder: Path) -> Counts:
    rows = list(judged_rows(path, folder))
    kept = sum(row.reason is None for row in rows)
    return kept, len(rows) - kept


def _requested(path: Path) -> Counts:
    requests = wishes_of([], [], path, 0, 1)
    kept = sum(request.fault is None for request in requests)
    return kept, len(requests) - kept


def _texts(path: Path) -> Counts:
    texts, rejected = _documents(path)
    if NO_TABLE in rejected.counts:  # of several files it is one that is set aside
        raise UserError(str(rejected.counts))
    return len(texts), len(rejected)


def _drafted(path: Path, kind: str) -> Counts:
    """Rows of a source in place that records are made of, and those that are set aside."""
    described = find_kind("source", kind, SourceKind).records.settings
    settings = described(source="rows", shard=0, held_out=HeldOut(), files=[path.name])
    rejected, kept = RejectedSamples(), 0
    taken = TakenRows(settings, Outside(path.parent, FileHashes(None)), rejected)
    for _, place, row in rows_of(taken, settings.reader, settings.reader.text_columns(settings)):
        try:
            settings.reader.drafts(row.values, settings, place)
            kept += 1
        except BadRow as fault:
            rejected.add(place, place, fault.reason, fault.detail)
    if NO_TABLE in rejected.counts:
        raise UserError(str(rejected.counts))
    return kept, len(rejected)


def _conversations(path: Path) -> Counts:
    rejected, kept = RejectedSamples(), 0
    settings = PlannedConversations(source="chats", shard=0, held_out=HeldOut(), files=[path.name])
    taken = TakenRows(settings, Outside(path.parent, FileHashes(None)), rejected)
    for _, row in taken.rows(path, path.name, [], named_columns(settings.layout, settings.columns)):
        try:
            kept += bool(messages_of(row.values, settings.layout, settings.columns))
        except BadRow as fault:
            rejected.add(path.name, path.name, fault.reason, fault.detail)
    return kept, len(rejected)


def _characters(path: Path) -> Counts:
    texts, rejected = _documents(path)
    whole = len("".join(path.read_bytes().decode("utf-8-sig", "replace").split()))
    kept = sum(len("".join(document.split())) for documents in texts for document in documents)
    return kept, whole if len(rejected) else 0


def _documents(path: Path) -> tuple[list[list[str]], RejectedSamples]:
    """The documents of each text of a file."""
    rejected = RejectedSamples()
    settings = PlannedText(source="texts", shard=0, held_out=HeldOut(), corpus="files", files=[path.name])
    taken = TakenRows(settings, Outside(path.parent, FileHashes(None)), rejected)
    return [list(documents) for _, documents in documents_in(taken, "text", 100)], rejected

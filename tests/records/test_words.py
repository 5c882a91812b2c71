"""Nothing that can't repeat enters a row: the words of another library's exception change with its version.

They may be raised on, in an error that a user reads, and logged. What is set aside says it in words of our own.
"""

import ast
import base64
import csv
import importlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFile, PngImagePlugin

import unix_lib
from tests.images.pictures import noise
from tests.sources.making import make
from unix_lib.artefacts.errors import UserError
from unix_lib.benchmarks.question_files import read_questions
from unix_lib.images.files import BadImage, png_bytes
from unix_lib.images.pixels import rgb_from_bytes

ROOT = Path(unix_lib.__file__).parent
# Rooms that set nothing aside: what they catch becomes an error of a config, of a job or of a whole artefact.
WITHOUT_ROWS = {
    "artefacts",
    "checkpoints",
    "cluster",
    "commands",
    "config",
    "fetch",
    "jobs",
    "models",
    "power",
    "scoring",
    "serve",
    "train",
    "__main__.py",
}
MODULES = [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] not in WITHOUT_ROWS]
LOGS = ("log", "_log", "logger", "_logger", "console")
NUMBERS = {"start", "errno", "returncode"}  # attributes that say where or which, not in words


def found_in(module_name: str, source: str) -> Iterator[str]:
    """Uses of caught exceptions of other libraries that could end in a row, a line each."""
    tree = ast.parse(source)
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None or handler.type is None:
            continue
        named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        module = importlib.import_module(module_name)
        if all(_is_our_own(ast.unparse(each), module) for each in named):
            continue
        allowed = {id(node) for part in handler.body for use in _allowed(part, module) for node in ast.walk(use)}
        for part in handler.body:
            for node in ast.walk(part):
                if isinstance(node, ast.Name) and node.id == handler.name and id(node) not in allowed:
                    yield f"{module_name}:{node.lineno}"


def _is_our_own(name: str, module: object) -> bool:
    return str(getattr(getattr(module, name, None), "__module__", "")).startswith("unix_lib")


def _allowed(part: ast.stmt, module: object) -> Iterator[ast.AST]:
    """Parts of a handler in which the exception's words may stand."""
    for node in ast.walk(part):
        if isinstance(node, ast.Raise):
            if node.cause is not None:
                yield node.cause
            name = ast.unparse(node.exc.func) if isinstance(node.exc, ast.Call) else ""
            raised = getattr(module, name, None) or getattr(importlib.import_module("builtins"), name, None)
            if isinstance(raised, type) and (issubclass(raised, UserError) or raised is ValueError):
                yield node
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and ast.unparse(function.value).split(".")[0] in LOGS:
                yield node
            yield from (keyword for keyword in node.keywords if keyword.arg == "cause")  # goes to the log
        elif isinstance(node, ast.Attribute) and node.attr in NUMBERS:
            yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words_of_other_libraries_are_raised_or_logged_only(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    assert not list(found_in(name, source)), "say it in words of our own, and log the library's"


@pytest.mark.parametrize(
    ("use", "fine"),
    [
        ("raise _UnusableRow('bad base64', str(error))", False),
        ("raise _UnusableRow('bad base64', 'wrong length') from error", True),
        ("rejected.add('a', 'a', 'not Python', str(error))", False),
        ("rejected.add('a', 'a', 'not Python', cause=error)", True),
        ("row['detail'] = f'{error}'", False),
        ("raise QuestionFileError(f'no such file ({error})')", True),
        ("logger.info('%s', error)", True),
    ],
)
def test_the_test_sees_it(use: str, fine: bool) -> None:
    source = f"def f():\n    try:\n        pass\n    except OSError as error:\n        {use}\n"
    assert (not list(found_in("unix_lib.benchmarks.question_files", source))) == fine


class Reworded:
    """Functions of libraries whose exceptions say something else each time, as a new version's would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.raised = 0
        for owner, name in (
            (Image, "open"),
            (ImageFile.ImageFile, "load"),
            (PngImagePlugin.PngImageFile, "load"),
            (json, "loads"),
            (base64, "b64decode"),
        ):
            monkeypatch.setattr(owner, name, self.of(getattr(owner, name)))
        reader = csv.reader
        monkeypatch.setattr(csv, "reader", lambda *given, **named: RewordedReader(self, reader(*given, **named)))

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return function(*arguments, **named)
            except StopIteration:
                raise
            except Exception as error:
                self.raised += 1
                error.args = (f"<object at {id(error):#x}>, {self.raised}",)
                raise

        return call


class RewordedReader:
    """A `csv.reader` of that kind."""

    def __init__(self, reworded: Reworded, reader: Any) -> None:
        self.reader, self.next = reader, reworded.of(reader.__next__)

    def __iter__(self) -> "RewordedReader":
        return self

    def __next__(self) -> list[str]:
        row: list[str] = self.next()
        return row

    @property
    def line_num(self) -> int:
        return int(self.reader.line_num)


def set_aside(folder: Path) -> list[list[dict[str, str]]]:
    """The rejected rows of a folder of bad images and captions, of stored images and of questions."""
    images = folder / "images"
    images.mkdir(parents=True)
    whole = png_bytes(np.asarray(noise(30, 30)))
    for name, data in {
        "fine.png": whole,
        "text.png": b"no image",
        "cut.png": whole[: len(whole) // 2],
        "flipped.png": whole[:100] + bytes([whole[100] ^ 255]) + whole[101:],
    }.items():
        (images / name).write_bytes(data)
    names = sorted(path.name for path in images.iterdir())
    lines = [*(f'{{"image": "{name}", "caption": "words"}}' for name in names), "{nothing"]
    (folder / "captions.jsonl").write_text("\n".join(lines))
    (folder / "captions.csv").write_text("image,caption\n" + "".join(f"{name},words\n" for name in names) + 'a,"b"c\n')
    found = []
    for captions in ("captions.jsonl", "captions.csv"):
        settings = {"folder": str(images), "captions": str(folder / captions), "image_size": 16}
        for made in make(folder / captions[-3:], "mine", kind="image_folder", **settings).values():
            found.append(pq.read_table(made.folder / "rejected.parquet").to_pylist())
    for data in (b"no image", whole[: len(whole) // 2]):
        with pytest.raises(BadImage) as fault:
            rgb_from_bytes(data, 30)
        found.append([{"detail": str(fault.value)}])
    header, image = "index\tquestion\tanswer\timage\n", base64.b64encode(whole).decode()
    (folder / "pope.tsv").write_text(f"{header}1\tIs it?\tyes\t{image}\n2\tIs it?\tyes\t{image[:-3]}*$=\n")
    found.append([vars(row) for row in read_questions(folder / "pope.tsv", "pope")[1]])
    return found


def test_rows_are_the_same_whatever_the_libraries_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = set_aside(tmp_path / "plain")
    assert sum(map(len, plain)) >= 12 and all(plain)
    reworded = Reworded(monkeypatch)
    with caplog.at_level(logging.INFO, "unix_lib"):
        again = set_aside(tmp_path / "again")
    assert again == plain and "<object at" not in str(again)
    assert reworded.raised >= 10 and "<object at" in caplog.text  # nothing is lost for whoever reads the log

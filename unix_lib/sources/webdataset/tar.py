"""Reads tar shards sample by sample: members one behind the other whose names differ in their endings only."""

import logging
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from unix_lib.images.formats import EXTENSIONS
from unix_lib.records.lines import BadLine, text_of, value_of
from unix_lib.records.tables import BREAKS_OFF, TableError, TableRow

IMAGE, TEXT, JSON = "image", "txt", "json"
LONGEST_MEMBER = 1 << 28  # bytes; a larger one is set aside unread

_log = logging.getLogger(__name__)


def read_tar(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[TableRow]:
    """Samples of a shard, in order. Values: `image` (bytes), `txt`, and the keys of the sample's JSON.

    Args:
        columns: which a sample must have; only members that hold them are read.
        optional: which it may have.

    Raises:
        TableError: no tar file.
        OSError: the file can't be read.
    """
    wanted = [*columns, *optional]
    number = 0
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file) as tar:
            for number, (_, members) in enumerate(groupby(_members(tar), key=lambda member: _split(member.name)[0]), 1):
                values, fault = _values_of(tar, list(members), wanted)
                lacking = next((column for column in columns if column not in values), None)
                if fault is None and lacking is not None:
                    fault = f"has no '{lacking}'"
                yield TableRow(number, {name: values[name] for name in wanted if name in values}, fault)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        _log.info("%s: sample %d: %s", path, number + 1, error)
        if not number:
            raise TableError("no tar file, or one that breaks off in its first sample") from None
        yield TableRow(number + 1, {}, BREAKS_OFF)


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Files of the archive, one in memory; `TarFile` itself would keep them all."""
    while (member := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]
        if member.isfile():
            yield member


def _split(name: str) -> tuple[str, str]:
    """A member's name without its endings, and those: `a.b/0.jpg` is `a.b/0` and `jpg`."""
    path = PurePosixPath(name)
    base, _, ending = path.name.partition(".")
    return (path.parent / base).as_posix(), ending.lower()


def _values_of(
    tar: tarfile.TarFile, members: list[tarfile.TarInfo], wanted: Sequence[str]
) -> tuple[dict[str, Any], str | None]:
    """Values of a sample, and what is wrong with it."""
    values: dict[str, Any] = {}
    for member in members:
        ending = _split(member.name)[1]
        is_image = f".{ending}" in EXTENSIONS
        is_json = ending == JSON and any(name not in (IMAGE, TEXT) for name in wanted)
        if not (is_json or (is_image and IMAGE in wanted) or (ending == TEXT and TEXT in wanted)):
            continue
        if member.size > LONGEST_MEMBER:
            return values, f"its .{ending} is larger than {LONGEST_MEMBER >> 20} MB"
        file = tar.extractfile(member)
        data = b"" if file is None else file.read()
        if len(data) < member.size:
            raise EOFError(f"{member.name} breaks off")
        try:
            if is_image:
                values.setdefault(IMAGE, data)
            elif ending == TEXT:
                values[TEXT] = text_of(data)
            else:
                value = value_of(text_of(data))
                if not isinstance(value, dict):
                    return values, "its JSON is no object"
                values |= {key: each for key, each in value.items() if key not in (IMAGE, TEXT)}
        except BadLine as fault:
            return values, f"its .{ending} is {fault}"
    return values, None

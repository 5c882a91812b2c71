"""Finds the texts of a row, and puts their translations in their places; all else of it stays as it is.

A *path* names texts by the keys that lead to them, such as `caption` or `messages.content`: where a list stands on the
way, every item of it is meant. What is null or missing has no text.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from unix_lib.records.lines import fault_of
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import Row
from unix_lib.translate.errors import Unfaithful
from unix_lib.translate.translator import Outcome

CHUNK_ROWS = 4096  # whose texts are asked for together
UNREADABLE, NO_TEXT = "unreadable row", "not a text"
Known = Callable[[str], Outcome]


@dataclass(frozen=True)
class Item:
    """One row and where it comes from; `fault` says why it can't be read."""

    sample_id: str
    origin: str
    number: int  # of the row, from 1
    values: Row
    fault: str | None = None


def translated(
    items: Iterable[Item],
    paths: Mapping[str, str],
    translate: Callable[[Iterable[str]], Mapping[str, Outcome]],
    rejected: RejectedSamples,
    as_they_are: Container[str] = (),
) -> Iterator[Item]:
    """The rows all of whose texts have a translation, in order; the others are set aside.

    Args:
        paths: where the texts are, each with the key of the row that gets what is below its first key, translated.
        as_they_are: texts that are none, such as a table's word for nothing.
    """
    rows = iter(items)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        wanted = {text for item in chunk for text in texts_of(item, paths)}
        known: dict[str, Outcome] = {text: text for text in wanted if text in as_they_are}
        known |= translate(sorted(wanted - known.keys()))
        for item in chunk:
            try:
                yield replace(item, values=_with_translations(item, paths, known.__getitem__))
            except Unfaithful as fault:
                rejected.add(item.sample_id, item.origin, fault.reason, fault.detail)


def texts_of(item: Item, paths: Iterable[str]) -> list[str]:
    """The texts of a row, none of one that is set aside for what it is."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    try:
        _with_translations(item, {path: path for path in paths}, note)
    except Unfaithful:
        return []
    return found


def _with_translations(item: Item, paths: Mapping[str, str], known: Known) -> Row:
    """A row with its translations.

    Raises:
        Unfaithful: the first reason why it is set aside.
    """
    if item.fault is not None:
        raise Unfaithful(UNREADABLE, item.fault)
    new: Row = {}
    for path, target in paths.items():
        first, *others = path.split(".")
        if (value := _below(item.values.get(first), others, path, known)) is not None:
            new[target] = value
    return item.values | new


def _below(value: Any, keys: list[str], path: str, known: Known) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_below(each, keys, path, known) for each in value]
    if keys:
        if not isinstance(value, dict):
            raise Unfaithful(NO_TEXT, f"'{path}' leads to something else than a text")
        new = _below(value.get(keys[0]), keys[1:], path, known)
        return value if new is None else value | {keys[0]: new}
    if not isinstance(value, str):
        raise Unfaithful(NO_TEXT, f"'{path}' leads to something else than a text")
    if (fault := fault_of(value)) is not None:
        raise Unfaithful(NO_TEXT, f"'{path}' {fault}")
    outcome = known(value)
    if isinstance(outcome, Unfaithful):
        raise Unfaithful(outcome.reason, f"'{path}': {outcome.detail}")
    return outcome

"""What a check found: a line each, with what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

# wrong: the experiment would fail, or train on what isn't meant. look: it may be meant. open: can't be told yet.
Level = Literal["ok", "look", "open", "wrong"]
MANY = 0.1  # ASSUME: share of the samples from which on something is no exception


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    level: Level
    where: str  # a place in the config, or what was looked at
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


def level_of(count: int, of: int) -> Level:
    """How bad something is that is so with some of the samples."""
    return "wrong" if count > MANY * of else "look"


def by_reason(rows: Iterable[dict[str, Any]]) -> str:
    """How many samples were set aside for which reason, with the first of each."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["reason"], []).append(row)
    told = []
    for reason, of_reason in sorted(groups.items(), key=lambda group: -len(group[1])):
        detail = f": {of_reason[0]['detail']}" if of_reason[0]["detail"] else ""
        told.append(f"{len(of_reason)} x {reason}, first {of_reason[0]['origin']}{detail}")
    return "; ".join(told)

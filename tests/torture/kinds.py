"""What a kind of case is, and the list of them: the modules of cases add theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tests.torture.outcome import Outcome
from tests.torture.room import Room

Run = Callable[[Room], Outcome]
RunType = TypeVar("RunType", bound=Run)


@dataclass(frozen=True)
class Kind:
    """A kind of case: what happens, and how it is done.

    Attributes:
        scope: `job`, on single jobs of every stage, or one stage's name; `driver`, on a whole run; `data`, on files
            from outside.
        times: how often a round has it.
        simulated: says in which respect it only stands for the real thing here; empty where it is the real thing.
    """

    name: str
    scope: str
    run: Run
    times: int = 1
    simulated: Callable[[], str] = str


KINDS: list[Kind] = []


def kind(name: str, scope: str, *, times: int = 1, simulated: Callable[[], str] = str) -> Callable[[RunType], RunType]:
    """Add a function to the kinds of case."""

    def add(run: RunType) -> RunType:
        KINDS.append(Kind(name, scope, run, times, simulated))
        return run

    return add

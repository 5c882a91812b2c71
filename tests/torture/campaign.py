"""A campaign: which cases there are, and running them, two at a time, each with random numbers of its own."""

import random
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.torture import data_cases, driver_cases, job_cases, launcher_cases  # noqa: F401  (they add their kinds)
from tests.torture.clone import Clone
from tests.torture.kinds import KINDS, Kind
from tests.torture.outcome import Outcome
from tests.torture.reference import Reference
from tests.torture.room import Room
from unix_lib.recipes.plan import STAGES

JUDGING = "evaluate judging"  # the jobs of `evaluate` that read answers for a long time, before there are scores
TORTURED = (*STAGES, JUDGING)


def targets_of(reference: Reference, stage: str) -> list[str]:
    """Artefacts of a stage of `TORTURED` that a job of their own makes; of a whole run's or of data's cases, all."""
    if stage not in TORTURED:
        return reference.targets()
    of_stage = reference.targets(stage.partition(" ")[0])
    return of_stage if stage != JUDGING else [name for name in of_stage if "-judging-" in name]


@dataclass(frozen=True)
class Case:
    """One case: its name says all that decides it, together with the seed."""

    stage: str  # or the kind's scope, where it is not about jobs of one stage
    kind: Kind
    number: int

    @property
    def name(self) -> str:
        return f"{self.stage}/{self.kind.name}/{self.number}"


def all_cases(rounds: int, seed: int) -> list[Case]:
    """Every kind in every stage, so many times; a round is mixed, so that no kind is last where time runs out."""
    cases = []
    for turn in range(rounds):
        of_round = [
            Case(stage, kind, turn * kind.times + number)
            for kind in KINDS
            for number in range(kind.times)
            for stage in (TORTURED if kind.scope == "job" else [kind.scope])
        ]
        random.Random(seed + turn).shuffle(of_round)
        cases += of_round
    return cases


def run_case(case: Case, reference: Reference, clone: Clone, seed: int) -> Outcome:
    """One case in a clone, which is reset first."""
    draw = random.Random(f"{seed}/{case.name}")
    targets = targets_of(reference, case.stage)
    clone.reset(reference.clone)
    try:
        return case.kind.run(Room(clone, reference, draw.choice(targets), draw))
    finally:
        clone.end_processes()


def run_cases(
    cases: list[Case],
    reference: Reference,
    folder: Path,
    *,
    seed: int,
    workers: int,
    seconds: float,
    report: Callable[[Case, Outcome], None],
) -> dict[Case, Outcome]:
    """Run cases side by side, each worker in a clone of its own below `folder`; `report` is called after each.

    After so many seconds no more are begun; they are missing from what is returned.
    """
    ends = time.monotonic() + seconds
    clones: SimpleQueue[Clone] = SimpleQueue()
    for number in range(workers):
        clone = Clone(folder / f"clone-{number}", reference.clone.config)
        clone.copy_code()
        clones.put(clone)
    lock = threading.Lock()
    outcomes: dict[Case, Outcome] = {}

    def one(case: Case) -> None:
        if time.monotonic() > ends:
            return
        clone = clones.get()
        try:
            outcome = run_case(case, reference, clone, seed)
        except Exception:
            outcome = Outcome("lost", f"the harness failed: {traceback.format_exc()}")
        finally:
            clones.put(clone)
        with lock:
            outcomes[case] = outcome
            report(case, outcome)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, cases))
    return outcomes

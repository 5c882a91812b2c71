"""docs/reliability.md: what became of the cases of a campaign."""

import re
from collections import Counter
from collections.abc import Iterable

from tests.torture.campaign import Case
from tests.torture.clone import ROOT
from tests.torture.outcome import VERDICTS, Outcome
from unix_lib.config.kinds import ROOMS, known_kinds
from unix_lib.recipes.plan import STAGES, Plan

PAGE = ROOT / "docs" / "reliability.md"
HEAD = """\
# Reliability: what becomes of a run that is disturbed

`make torture` runs a small experiment with every stage undisturbed, then damages copies of it in every way listed
here, and looks whether each comes back to the same content digests. It needs no network; as root it fills a real disk
and runs jobs as another user. This page is written by it.

- **recomputed**: running again was enough; every artefact has the content digest of the undisturbed run. (Mutated files
  from outside are other data: every row of theirs was kept, or set aside with a reason.)
- **clear error**: one line said what was wrong and what to do, without a traceback (or `unix-lib verify` named it);
  doing that led to the undisturbed digests.
- **lost**: a traceback, a remedy that leads nowhere, or finished work that was made again or vanished.
- **silently wrong**: other digests, or damage that nobody was told of.
"""


def kinds_left_out(plan: Plan) -> list[str]:
    """Kinds of the registries that no recipe of a plan speaks of."""
    recipes = [job.recipe for job in plan.jobs.values()]
    words = {word for recipe in recipes for word in re.findall(r"\w+", f"{recipe.kind} {recipe.settings}")}
    return [f"{sort} `{name}`" for sort in ROOMS for name in known_kinds(sort) if name not in words]


def page(outcomes: dict[Case, Outcome], planned: int, plan: Plan, seed: int, minutes: float) -> str:
    """The whole page; of the planned cases the last may be missing, where time ran out."""
    text = [HEAD, f"{len(outcomes)} of {planned} cases with seed {seed}, {minutes:.0f} minutes.\n"]
    text += ["## By stage\n", _table("stage", outcomes, [case.stage for case in outcomes])]
    text += ["## By kind of case\n", _table("what happens", outcomes, [_kind(case) for case in outcomes])]
    all_steps, repeated, of_finished = (
        sum(getattr(outcome, name) for outcome in outcomes.values())
        for name in ("steps", "steps_repeated", "steps_of_finished")
    )
    text += [f"Optimizer steps were counted in all of these cases: {all_steps:,}, of which {of_finished} were for"]
    text += ["checkpoints and tokenizers that were finished and untouched. Killed and damaged jobs repeated"]
    text += [f"{repeated} steps; they save after each step of a checkpoint, and each second of a tokenizer.\n"]
    text += [f"Not as it should be: {line}\n" for line in failures(outcomes)]
    left = sum(bool(outcome.left) for outcome in outcomes.values())
    text += [f"In {left} cases a file that is no part of it stayed in a finished artefact.\n"]
    text += [f"Kinds that its experiment does not have: {', '.join(kinds_left_out(plan)) or 'none'}.\n"]
    return "\n".join(text)


def _kind(case: Case) -> str:
    where = "" if case.stage in STAGES else f"{case.kind.scope}: "
    simulated = case.kind.simulated()
    return where + case.kind.name + (f" (simulated: {simulated})" if simulated else "")


def _table(what: str, outcomes: dict[Case, Outcome], rows: Iterable[str]) -> str:
    counts: dict[str, Counter[str]] = {}
    for row, outcome in zip(rows, outcomes.values(), strict=True):
        counts.setdefault(row, Counter())[outcome.verdict] += 1
    lines = [f"| {what} | cases | {' | '.join(VERDICTS)} |", "|---|" + "---|" * (len(VERDICTS) + 1)]
    total: Counter[str] = sum(counts.values(), Counter())
    for row, of_row in [*counts.items(), ("**all**", total)]:
        cells = [of_row.total(), *(of_row[verdict] for verdict in VERDICTS)]
        lines.append(f"| {row} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def summary(outcomes: dict[Case, Outcome]) -> str:
    """The tables for the screen, and the cases that failed."""
    return "\n".join([_table("stage", outcomes, [case.stage for case in outcomes]), *failures(outcomes)])


def failures(outcomes: dict[Case, Outcome]) -> list[str]:
    """A line for each case that was lost or silently wrong."""
    return [
        f"{outcome.verdict}: {case.name}: {outcome.detail}"
        for case, outcome in outcomes.items()
        if outcome.verdict in VERDICTS[2:]
    ]

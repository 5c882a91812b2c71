"""`make torture`: damage an experiment in every way that we know, and write what became of it to docs/reliability.md.

python -m tests.torture --rounds 2 --seed 218
python -m tests.torture --only 'train/killed' --folder /tmp/torture     # some cases; the experiment is kept there
"""

import argparse
import re
import sys
import time
from pathlib import Path

from tests.torture.campaign import Case, all_cases, run_cases
from tests.torture.clone import Clone, open_folder
from tests.torture.outcome import Outcome
from tests.torture.reference import make_reference
from tests.torture.table import PAGE, page, summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="cases of each kind in each stage")
    parser.add_argument("--seed", type=int, default=218)
    parser.add_argument("--workers", type=int, default=2, help="cases at a time")
    parser.add_argument("--minutes", type=float, default=70, help="after so many no more cases are begun")
    parser.add_argument(
        "--only", default="", help="only cases whose name has this, a regular expression; no page is written"
    )
    parser.add_argument("--folder", type=Path, help="keep the undisturbed experiment here, for the next campaign")
    arguments = parser.parse_args()
    with open_folder() as temporary:
        return campaign(arguments, arguments.folder or temporary)


def campaign(arguments: argparse.Namespace, folder: Path) -> int:
    started = time.monotonic()
    print(f"seed {arguments.seed}", flush=True)
    reference = make_reference(Clone(folder / "undisturbed"))
    cases = [case for case in all_cases(arguments.rounds, arguments.seed) if re.search(arguments.only, case.name)]
    print(f"the undisturbed run took {time.monotonic() - started:.0f} s; {len(cases)} cases", flush=True)

    def report(case: Case, outcome: Outcome) -> None:
        left = f"  (left over: {', '.join(outcome.left)})" if outcome.left else ""
        print(
            f"{time.monotonic() - started:5.0f} s  {outcome.verdict:15} {case.name}  {outcome.detail}{left}", flush=True
        )

    outcomes = run_cases(
        cases,
        reference,
        folder,
        seed=arguments.seed,
        workers=arguments.workers,
        seconds=60 * arguments.minutes,
        report=report,
    )
    minutes = (time.monotonic() - started) / 60
    if not arguments.only:
        PAGE.write_text(page(outcomes, len(cases), reference.plan, arguments.seed, minutes), encoding="utf-8")
    print(summary(outcomes))
    return int(any(outcome.verdict in ("lost", "silently wrong") for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())

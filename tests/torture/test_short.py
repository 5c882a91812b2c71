"""The short form of `make torture`: one case in every stage, and a few of whole runs, on a smaller experiment."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.campaign import JUDGING, TORTURED, Case, all_cases, run_cases, targets_of
from tests.torture.clone import Clone, Ended, open_folder
from tests.torture.outcome import VERDICTS, clear_errors
from tests.torture.reference import Reference, make_reference
from tests.torture.room import Room
from unix_lib.artefacts.manifest import read_manifest, write_manifest

SEED = 218
SHORT = Path("tests/torture/short.yaml")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return make_reference(Clone(folder / "undisturbed", SHORT))


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_silently_wrong(reference: Reference, folder: Path) -> None:
    draw = random.Random(SEED)
    by_stage: dict[str, list[Case]] = {}
    for case in all_cases(1, SEED):
        by_stage.setdefault(case.stage, []).append(case)
    assert set(TORTURED) < set(by_stage)
    absent = {stage for stage in by_stage if not targets_of(reference, stage)}
    assert absent == {"translate", JUDGING}  # which only the long form has
    cases = [draw.choice(of_stage) for stage, of_stage in by_stage.items() if stage not in absent]
    outcomes = run_cases(
        cases, reference, folder, seed=SEED, workers=2, seconds=3600, report=lambda case, outcome: None
    )
    failed = {case.name: outcome for case, outcome in outcomes.items() if outcome.verdict in VERDICTS[2:]}
    assert len(outcomes) == len(cases)
    assert failed == {}


@pytest.mark.slow
def test_the_harness_sees_what_is_wrong(reference: Reference, folder: Path) -> None:
    clone = Clone(folder / "clone", SHORT)
    clone.copy_code()

    def room() -> Room:
        clone.reset(reference.clone)
        return Room(clone, reference, target, random.Random(0))

    for target in reference.targets("figures", "train"):
        assert room().judged([]).verdict == "recomputed"

        forged, made = room(), clone.results / target  # another result, whose manifest is in order
        manifest = read_manifest(made)
        (made / manifest.files[0].path).write_text("other")
        write_manifest(made, manifest.recipe, {entry.path: entry.rows for entry in manifest.files})
        assert forged.judged([]).verdict == "silently wrong"

        again = room()
        clone.events_file.write_text(f"{target}\tos.rename\t{target}/manifest.json\t0\n")
        assert again.judged([]).verdict == "lost"
        clone.events_file.write_text(f"{target}\tstep\t\t0\n")
        assert again.judged([]).verdict == "lost"


def test_a_clear_error_is_one_line_without_a_traceback() -> None:
    line = "ArtefactError: pack/text-0123: damaged; delete it and run again"
    assert clear_errors(Ended(1, f"08:00:00 text: packing\n{line}\n{line}\n")) == [line]
    assert clear_errors(Ended(1, f"Traceback (most recent call last):\n  ...\n{line}\n")) == []
    assert clear_errors(Ended(1, "OSError: no space\n  traceback: results/logs/pack/text.log\n")) == []
    assert clear_errors(Ended(-9, "08:00:00 text: packing\n")) == []

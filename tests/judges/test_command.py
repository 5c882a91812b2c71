"""A judge in a process of its own: the same verdicts, and a clear word on everything that can go wrong."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluate.small import SmallExperiment
from unix_lib.evaluate.fitness import heldout_scenes
from unix_lib.judges.command import CommandJudge
from unix_lib.judges.command_runner import CommandRunner
from unix_lib.judges.detector import Detector
from unix_lib.judges.judge import JudgeError, NoVerdict

PROGRAM = [sys.executable, "-m", "tests.judges.program"]
IMAGES = np.full((3, 32, 32, 3), 200, dtype=np.uint8)


def runner(*arguments: str, seconds: float = 60.0) -> CommandRunner:
    return CommandRunner(CommandJudge(kind="command", command=[*PROGRAM, *arguments], seconds=seconds), 32)


def test_the_same_objects_as_in_this_process(small: SmallExperiment) -> None:
    _, images = heldout_scenes(small.results / small.shapes, 32)
    assert runner().objects(images) == Detector.for_scenes(32).objects(images)


def test_questions_are_asked_in_order() -> None:
    assert runner().answer(IMAGES, ["a?", "b?", "c?"]) == [f"{letter}? (32, 32, 3)" for letter in "abc"]


def test_a_benchmark_is_judged_alike_by_a_command_and_here(small: SmallExperiment) -> None:
    command = {"kind": "command", "command": PROGRAM, "seconds": 50.0}
    here, there = (
        small.evaluation("geneval", group="judged", judges={"mine": command}, judge=judge)
        for judge in ("scenes", "mine")
    )
    here.make()
    there.make()
    assert there.group.folder == here.group.folder  # another judge generates nothing again
    assert there.scores.folder != here.scores.folder
    for name in ("verdicts.parquet", "samples/geneval.parquet"):
        assert pq.read_table(there.scores.folder / name) == pq.read_table(here.scores.folder / name)
    scores = [pq.read_table(each.scores.folder / "scores.parquet") for each in (here, there)]
    assert scores[0].drop_columns("judge") == scores[1].drop_columns("judge")
    assert [set(each["judge"].to_pylist()) for each in scores] == [{"scene_detector 1"}, {"command 1"}]
    judges = {"mine": CommandJudge.model_validate(command)}
    assert there.ceiling("geneval", judges=judges).make().facts["fit_to_judge"] is True


def test_how_long_to_wait_changes_no_recipe_and_reaches_the_job(small: SmallExperiment) -> None:
    def evaluation(seconds: float, version: str = ""):
        command = {"kind": "command", "command": [*PROGRAM, "hangs"], "seconds": seconds, "version": version}
        return small.evaluation("geneval", group="waiting", judges={"mine": command}, judge="mine", limit=1)

    short, long = evaluation(2.5), evaluation(100.0)
    assert short.scores.recipe == long.scores.recipe
    assert evaluation(2.5, "two").scores.recipe != long.scores.recipe
    short.group.make()
    with pytest.raises(JudgeError, match=r"no answer within 2\.5 s"):
        short.scores.make()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("dies", r"ended with exit code 3 before it had answered; it said: no such model"),
        ("babbles", r"answered 'Sure! Here is what I see\.', expected a line of JSON; correct the judge"),
        ("says it twice", r"answered '\{\"objects\": \[\]\}', expected nothing before it is asked"),
        ("other form", r"answered .*'class': 'circle'.*, expected .*\"box\""),
    ],
)
def test_a_judge_that_fails_says_how(fault: str, message: str) -> None:
    with pytest.raises(NoVerdict, match=message):
        runner(fault).objects(IMAGES)


def test_a_judge_that_hangs_is_ended_and_started_again_for_the_next_image() -> None:
    hanging = runner("hangs", seconds=3.0)
    with pytest.raises(JudgeError, match="no answer within 3 s; raise 'seconds'"):
        hanging.objects(IMAGES)
    assert hanging._process.wait(10) != 0
    hanging.command, hanging.seconds = PROGRAM, 50.0  # the next one does not hang
    assert hanging.objects(IMAGES) == [[], [], []]


def test_what_it_complains_of_never_blocks_it() -> None:
    assert runner("noisy").objects(IMAGES) == [[], [], []]


def test_a_program_that_is_not_there_is_named() -> None:
    settings = CommandJudge(kind="command", command=["judges/none.sh"])
    with pytest.raises(JudgeError, match=r"judges/none\.sh: can't be started \(No such file or directory\)"):
        CommandRunner(settings, 32)
    assert [need.local for need in settings.needs("mine")] == [Path("judges/none.sh")]
    assert CommandJudge(kind="command", command=["python3", "judge.py"]).needs("mine") == []


def test_the_program_ends_with_its_judge() -> None:
    judge = runner()
    judge.objects(IMAGES)
    process: subprocess.Popen[bytes] = judge._process
    assert process.poll() is None
    del judge
    gc.collect()
    assert process.wait(10) == 0

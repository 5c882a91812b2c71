"""Wall time on so many cores: jobs wait for those that they build on, and for room."""

import pytest

from unix_lib.recipes.schedule import TimedJob, wall_seconds

CHAIN = {"a": TimedJob(3, 1), "b": TimedJob(4, 1, ("a",)), "c": TimedJob(5, 1, ("a",)), "d": TimedJob(1, 1, ("b", "c"))}


@pytest.mark.parametrize(("cores", "seconds"), [(1, 13), (2, 9), (8, 9)])
def test_independent_jobs_share_the_cores(cores: int, seconds: float) -> None:
    assert wall_seconds(CHAIN, cores) == seconds


def test_threads_take_room_and_jobs_elsewhere_take_none() -> None:
    wide = {name: TimedJob(10, 2) for name in "abc"}
    assert wall_seconds(wide, 4) == 20
    assert wall_seconds(wide, 1) == 30  # each gets all that there is
    assert wall_seconds({name: TimedJob(10, 0) for name in "abc"}, 1) == 10


def test_what_is_there_already_is_not_waited_for() -> None:
    assert wall_seconds({"b": TimedJob(4, 1, ("a",))}, 1) == 4
    assert wall_seconds({}, 2) == 0


def test_jobs_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="wait for each other: a, b"):
        wall_seconds({"a": TimedJob(1, 1, ("b",)), "b": TimedJob(1, 1, ("a",))}, 2)

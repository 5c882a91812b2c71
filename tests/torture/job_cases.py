"""Cases on one job of any stage, started by the command that its log begins with."""

import os
import subprocess
import time
from functools import partial

from tests.torture.clone import kill
from tests.torture.damage import (
    OTHER_USER,
    Damage,
    can_be_another,
    can_mount,
    change_times,
    delete,
    flip,
    small_disk,
    truncate,
)
from tests.torture.kinds import kind
from tests.torture.outcome import Outcome
from tests.torture.room import Room


@kind("killed at a random moment", "job")
def killed_at_a_moment(room: Room) -> Outcome:
    room.remove_target()
    process, output = room.start()
    time.sleep(room.random.uniform(0, room.undisturbed.seconds))
    kill(process.pid, group=room.random.random() < 0.5)
    room.clone.wait(process, output)
    return room.conclude()


@kind("killed at a change of files", "job")
def killed_at_a_change(room: Room) -> Outcome:
    room.remove_target()
    room.kill_at(room.some_change(), group=room.random.random() < 0.5)
    return room.conclude()


@kind("killed again and again", "job")
def killed_again(room: Room) -> Outcome:
    room.remove_target()
    for _ in range(3):
        room.kill_at(room.some_change())
    return room.conclude()


def _resumed(damage: Damage, room: Room) -> Outcome:
    """Kill a job, and damage something of what it left."""
    room.remove_target()
    room.kill_at(room.some_change(late=True))
    left = room.left_by_the_killed()
    if left:
        room.harm(room.random.choice(left), damage)
    return room.conclude()


kind("what it resumes from is truncated", "job")(partial(_resumed, truncate))
kind("what it resumes from has flipped bits", "job")(partial(_resumed, flip))
kind("what it resumes from is gone", "job")(partial(_resumed, delete))


def _input(damage: Damage, room: Room) -> Outcome:
    """Damage a file of what a job reads, or its recipe where it reads none."""
    room.remove_target()
    room.harm(room.random.choice(room.input_files() or room.planned_files()), damage)
    return room.conclude()


kind("an input is truncated", "job")(partial(_input, truncate))
kind("an input has flipped bits", "job")(partial(_input, flip))


def _own(damage: Damage, room: Room) -> Outcome:
    room.harm(room.random.choice(room.own_files()), damage)
    return room.conclude()


kind("its finished result is truncated", "job")(partial(_own, truncate))
kind("its finished result has flipped bits", "job")(partial(_own, flip))


@kind("what was planned for it is damaged", "job")
def plan_is_damaged(room: Room) -> Outcome:
    room.remove_target()
    room.harm(room.random.choice(room.planned_files()), room.random.choice([truncate, flip, delete]))
    return room.conclude()


@kind("file times in the past and the future", "job")
def file_times(room: Room) -> Outcome:
    """A finished job is run again: its result stays."""
    change_times(room.clone.results, room.random)
    return room.conclude()


@kind("started twice at once", "job")
def twice_at_once(room: Room) -> Outcome:
    room.remove_target()
    first = room.start()
    time.sleep(room.random.uniform(0, room.undisturbed.seconds / 2))
    second = room.start()
    ended = [room.clone.wait(*each) for each in (first, second)]
    return room.conclude(first=max(ended, key=lambda each: each.code != 0))


@kind("the disk is full", "job", simulated=lambda: "" if can_mount() else "largest file limited instead of a full disk")
def disk_is_full(room: Room) -> Outcome:
    room.remove_target()
    free = int(room.random.uniform(0, 1.1) * room.room_needed)
    if not can_mount():
        return room.conclude(first=room.run(TORTURE_LARGEST_FILE=str(free)))
    with small_disk(room.clone.results, free) as make_room:
        return room.conclude(heal=make_room)


@kind(
    "no permission",
    "job",
    simulated=lambda: "" if can_be_another() else "root ignores modes: nothing was revoked",
)
def no_permission(room: Room) -> Outcome:
    room.remove_target()
    own_python = "python-reference" in str(room.reference.plan.jobs[room.target].recipe.settings)
    if os.geteuid() == 0 and can_be_another(same_python=own_python):
        room.user = OTHER_USER
        subprocess.run(["chown", "-R", f"{OTHER_USER}:{OTHER_USER}", room.clone.folder], check=True)
    folder = room.clone.results / room.target.partition("/")[0]
    folder.mkdir(exist_ok=True)
    victims = [*room.input_files(), *room.planned_files(), folder, room.clone.results]
    victim = room.random.choice(victims[-2:] if room.random.random() < 0.5 else victims)
    mode = victim.stat().st_mode
    victim.chmod(0o555 if victim.is_dir() else 0)
    return room.conclude(heal=lambda: victim.chmod(mode) if victim.exists() else None)

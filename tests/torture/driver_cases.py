"""Cases on a whole run: Snakemake as the driver, with a few jobs to do."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import yaml

from tests.torture.clone import SECONDS_TO_END, Event, kill
from tests.torture.damage import can_mount, change_times, delete, flip, read_only, small_disk, truncate
from tests.torture.kinds import kind
from tests.torture.outcome import Outcome
from tests.torture.reference import files_of
from tests.torture.room import Room


def prepare(room: Room, jobs: int = 2) -> None:
    """Delete what some jobs made; the target is one of them."""
    room.driven = True
    others = room.random.sample(room.reference.targets(), jobs - 1)
    for target in dict.fromkeys([room.target, *others]):
        room.remove(*room.reference.made_by(target))


def first_start(room: Room, process: "subprocess.Popen[bytes]") -> Event | None:
    """Wait for the first job that a driver starts; None where it ends without."""
    deadline = time.monotonic() + SECONDS_TO_END
    while time.monotonic() < deadline:
        for event in room.clone.events():
            if event.what == "start":
                return event
        if process.poll() is not None:
            return None
        time.sleep(0.05)
    return None


def in_the_middle(room: Room, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a random moment of the first job."""
    started = first_start(room, process)
    if started is not None:
        time.sleep(room.random.uniform(0, room.reference.jobs[started.artefact].seconds))


def killed(room: Room, *, with_its_jobs: bool) -> Outcome:
    """Kill a driver at a random moment of its first job."""
    prepare(room)
    process, _ = room.start()
    in_the_middle(room, process)
    kill(process.pid, group=with_its_jobs)
    process.wait()
    return room.conclude()


@kind("killed, its jobs go on, the next driver starts at once", "driver", times=2)
def orphans(room: Room) -> Outcome:
    """The target is a job that trains, in half of the cases."""
    if room.random.random() < 0.5:
        training = [name for name in room.reference.targets() if room.reference.jobs[name].steps]
        room.target = room.random.choice(training)
    return killed(room, with_its_jobs=False)


@kind("killed with all its jobs", "driver", times=2)
def killed_with_its_jobs(room: Room) -> Outcome:
    return killed(room, with_its_jobs=True)


@kind("killed before its first job", "driver")
def killed_early(room: Room) -> Outcome:
    prepare(room)
    process, _ = room.start()
    time.sleep(room.random.uniform(0, 3))
    kill(process.pid, group=room.random.random() < 0.5)
    process.wait()
    return room.conclude()


@kind("one of its jobs is killed", "driver")
def job_is_killed(room: Room) -> Outcome:
    prepare(room)
    process, output = room.start()
    in_the_middle(room, process)
    for number in room.clone.processes():
        if number != process.pid and b"scripts/" in _command_line(number):
            kill(number)
    room.clone.wait(process, output)
    return room.conclude()


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@kind("two at once", "driver")
def two_at_once(room: Room) -> Outcome:
    prepare(room)
    first = room.start()
    time.sleep(room.random.uniform(0, 6))
    second = room.start()
    ended = [room.clone.wait(*each) for each in (first, second)]
    return room.conclude(first=max(ended, key=lambda each: each.code != 0))


@kind("the YAML is edited in the middle", "driver")
def yaml_is_edited(room: Room) -> Outcome:
    """What was planned is made; with the old values back, nothing is to be done."""
    prepare(room)
    path = room.clone.folder / room.clone.config
    before = path.read_text(encoding="utf-8")
    process, output = room.start()
    first_start(room, process)
    if room.random.random() < 0.5:
        values = yaml.safe_load(before)
        values["pack"]["seed"] = room.random.randrange(1000)
        values["train"]["runs"]["unix"] = {"seed": room.random.randrange(1000)}
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
    else:
        truncate(path, room.random)
    ended = room.clone.wait(process, output)
    path.write_text(before, encoding="utf-8")
    return room.conclude(first=ended)


@kind("a data file is edited in the middle", "driver", times=2)
def data_are_edited(room: Room) -> Outcome:
    room.driven = True
    for target in room.reference.targets("sources"):
        if '"data/' in str(room.reference.plan.jobs[target].recipe.settings).replace("'", '"'):
            room.remove(*room.reference.made_by(target))
    files = sorted(path for path in (room.clone.folder / "data").rglob("*") if path.is_file())
    victim = room.random.choice(files)
    before = victim.read_bytes()
    process, output = room.start()
    first_start(room, process)
    time.sleep(room.random.uniform(0, 2))
    room.random.choice([truncate, flip, delete])(victim, room.random)
    ended = room.clone.wait(process, output)
    return room.conclude(heal=lambda: _write(victim, before), first=ended)


def _write(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        path.unlink(missing_ok=True)
        path.write_bytes(data)


@kind("file times in the past and the future", "driver")
def file_times(room: Room) -> Outcome:
    room.driven = True
    change_times(room.clone.folder, room.random)
    return room.conclude()


@kind("a finished artefact in the middle is deleted", "driver")
def artefact_is_deleted(room: Room) -> Outcome:
    """Only that one is made again."""
    room.driven = True
    used = {name for target in room.reference.targets() for name in room.reference.read_by(target)}
    room.remove(room.random.choice(sorted(used)))
    return room.conclude()


@kind("a finished result is damaged", "driver")
def result_is_damaged(room: Room) -> Outcome:
    room.driven = True
    room.harm(room.random.choice(room.own_files()), room.random.choice([truncate, flip, delete]))
    return room.conclude()


@kind("its own books are damaged", "driver", times=2)
def books_are_damaged(room: Room) -> Outcome:
    """Whatever is neither an artefact nor a log: Snakemake's files, markers, recipes, caches of hashes."""
    prepare(room)
    artefacts = {path for name in room.reference.digests for path in files_of(room.clone, name)}
    places = [room.clone.folder / ".snakemake", room.clone.results]
    books = sorted(
        path
        for place in places
        for path in place.rglob("*")
        if path.is_file()
        and path not in artefacts
        and not {"logs", "log", "current"} & set(path.relative_to(room.clone.folder).parts)
    )
    for path in room.random.sample(books, min(len(books), 8)):
        room.random.choice([truncate, flip, delete])(path, room.random)
    return room.conclude()


@kind("the results are a copy with links followed", "driver")
def links_are_followed(room: Room) -> Outcome:
    room.driven = True
    copy = room.clone.results.with_name("copy")
    subprocess.run(["cp", "-rL", room.clone.results, copy], check=True)
    shutil.rmtree(room.clone.results)
    copy.rename(room.clone.results)
    return room.conclude()


@kind(
    "the disk is full", "driver", simulated=lambda: "" if can_mount() else "largest file limited instead of a full disk"
)
def disk_is_full(room: Room) -> Outcome:
    prepare(room)
    free = int(room.random.uniform(0, 1.1) * room.room_needed)
    if not can_mount():
        return room.conclude(first=room.run(TORTURE_LARGEST_FILE=str(free)))
    with small_disk(room.clone.results, free) as make_room:
        return room.conclude(heal=make_room)


@kind("a folder is read-only", "driver", simulated=lambda: "" if os.geteuid() or can_mount() else "nothing was revoked")
def folder_is_read_only(room: Room) -> Outcome:
    prepare(room)
    if os.geteuid() == 0 and not can_mount():  # root ignores modes
        return room.conclude()
    folders = [room.clone.folder / ".snakemake", room.clone.results, *room.clone.results.glob("*")]
    with read_only(room.random.choice(sorted(path for path in folders if path.is_dir()))) as give_back:
        return room.conclude(heal=give_back)

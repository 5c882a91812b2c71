"""Cases on a job of several processes: a training job on two, which a launcher starts."""

import time
from dataclasses import replace

from tests.torture import outcome
from tests.torture.clone import kill
from tests.torture.kinds import kind
from tests.torture.outcome import Outcome
from tests.torture.room import Room
from unix_lib.artefacts.manifest import read_manifest

PROCESSES = 2


@kind("several processes: the launcher, one of them, or all are killed", "train", times=2)
def launched(room: Room) -> Outcome:
    """What two processes make undisturbed, they make after that too."""
    room.target = room.random.choice(
        [name for name in room.reference.targets("train") if room.reference.jobs[name].steps]
    )
    folder = room.clone.results / room.target
    plan = room.clone.plan()
    job = plan.jobs[room.target]
    shape = job.execution.job.model_copy(update={"nodes": PROCESSES})
    plan.jobs[room.target] = replace(job, execution=job.execution.model_copy(update={"job": shape}))
    room.clone.write_plan(plan)
    room.remove_target()
    started = time.monotonic()
    ended = room.run()
    if ended.code:
        return Outcome("lost", outcome.told(ended, room.clone))
    undisturbed, seconds = read_manifest(folder).digest, time.monotonic() - started
    room.remove_target()
    process, _ = room.start()
    time.sleep(room.random.uniform(0, seconds))
    victims = [*room.clone.processes(), process.pid]
    kill(room.random.choice(victims), group=room.random.random() < 0.3)
    ended = room.run()  # at once, whatever of the first still lives
    if ended.code:
        lines = outcome.clear_errors(ended)
        ended = room.run()
        if ended.code or len(lines) != 1:
            return Outcome("lost", outcome.told(ended, room.clone))
    process.wait()
    if not room.clone.let_end():
        return Outcome("lost", "processes that never end")
    if read_manifest(folder).digest != undisturbed:
        return Outcome("silently wrong", "two processes that were killed make another checkpoint")
    return Outcome("recomputed")

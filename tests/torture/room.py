"""Where one case takes place: a clone, a job as its target, random numbers of the case's own; and how it ends."""

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import outcome
from tests.torture.clone import Clone, Ended
from tests.torture.damage import Damage
from tests.torture.outcome import Outcome
from tests.torture.reference import Reference, Undisturbed, files_of, is_finished, remove
from unix_lib.artefacts.manifest import MANIFEST

MOST_ERRORS = 3  # errors in a row, each with its remedy, until one counts as leading nowhere


@dataclass
class Room:
    """One case's clone, reset to the undisturbed run."""

    clone: Clone
    reference: Reference
    target: str
    random: random.Random
    user: int | None = None  # who runs jobs, where not the harness's own user
    harmed: dict[Path, bytes | None] = field(default_factory=dict)  # what damaged files hold now; None: they are gone
    gone: Counter[str] = field(default_factory=Counter)  # artefacts that were deleted or damaged, how often
    driven: bool = False  # whether a driver makes what is missing, or jobs by themselves

    @property
    def undisturbed(self) -> Undisturbed:
        return self.reference.jobs[self.target]

    # -- doing

    def remove_target(self) -> None:
        """Delete what the target's job makes, so that it has something to do."""
        self.remove(*self.reference.made_by(self.target))

    def remove(self, *artefacts: str) -> None:
        """Delete artefacts."""
        remove(self.clone, list(artefacts))
        for artefact in artefacts:
            self._count_gone(artefact)

    def _count_gone(self, artefact: str) -> None:
        """Of what is gone, another one may be made; its group's own manifest too, which lists it."""
        maker = self.reference.plan.jobs[artefact].made_by if artefact in self.reference.plan.jobs else None
        self.gone.update({artefact, maker or artefact})

    def run(self, target: str | None = None, **variables: str) -> Ended:
        """Run a job, of the target by default; its driver, where there is one."""
        command = self.clone.driver() if self.driven else self.reference.command(target or self.target)
        return self.clone.run(command, user=self.user, **variables)

    def start(self) -> "tuple[subprocess.Popen[bytes], Path]":
        command = self.clone.driver() if self.driven else self.reference.command(self.target)
        return self.clone.start(command, user=self.user)

    def harm(self, path: Path, damage: Damage) -> None:
        """Damage a file; of one that was there in the undisturbed run, remember what it holds now and whose it was."""
        before = path.read_bytes()
        damage(path, self.random)
        after = path.read_bytes() if path.is_file() else None
        if after == before:
            raise AssertionError(f"{path} was not damaged")
        name = path.relative_to(self.clone.results).as_posix()
        if name in self.reference.names:
            self.harmed[path] = after
            self._count_gone("/".join(Path(name).parts[:2]))

    def some_change(self, *, late: bool = False) -> int:
        """The number of one of the target's changes of files; a late one comes after the first file is whole."""
        changes = self.undisturbed.changes
        renamed = [number for number, event in enumerate(changes) if event.what in ("os.rename", "os.link")]
        first = renamed[0] + 1 if late and len(renamed) > 1 else 0
        return self.random.randrange(first, len(changes))

    def kill_at(self, change: int, *, group: bool = False) -> Ended:
        """Run the target until just before its `change`-th change of a file."""
        tree = {"TORTURE_KILL_TREE": "1"} if group else {}
        return self.run(TORTURE_KILL_AT=str(change), **tree)

    def left_by_the_killed(self) -> list[Path]:
        """Files that are there now and were not after the undisturbed run: what is resumed from, and partial files."""
        found = self.own_files()
        for path in sorted(self.clone.results.rglob("*")):
            name = path.relative_to(self.clone.results).as_posix()
            new = name not in self.reference.names and not name.startswith("logs/")
            if new and path.is_file() and path not in found:
                found.append(path)
        return found

    def input_files(self) -> list[Path]:
        return [path for name in self.reference.read_by(self.target) for path in files_of(self.clone, name)]

    def planned_files(self) -> list[Path]:
        """Recipes and execution settings of all that the target makes."""
        names = self.reference.made_by(self.target)
        return [path for name in names for path in sorted(self.clone.results.glob(f"recipes/{name}.*"))]

    @property
    def room_needed(self) -> int:
        """Bytes that the target's results take on a disk of 4 KiB blocks."""
        own = tuple(f"{name}/" for name in self.reference.made_by(self.target))
        return sum(-(-len(data) // 4096) * 4096 for name, data in self.reference.files.items() if name.startswith(own))

    def own_files(self) -> list[Path]:
        return [path for name in self.reference.made_by(self.target) for path in files_of(self.clone, name)]

    # -- ending

    def conclude(self, heal: Callable[[], None] | None = None, first: Ended | None = None) -> Outcome:
        """Run the target until it is there, following what errors say; judge what came of it.

        Args:
            heal: takes the fault away, where no deletion can: makes room on the disk, gives permissions back.
            first: how the target's job has ended already.
        """
        said: list[str] = []
        ended = first or self.run()
        while ended.code:
            lines = outcome.clear_errors(ended)
            if not lines or (len(lines) > 1 and not self.driven):
                return self._ended("lost", outcome.told(ended, self.clone))
            said += lines
            if len(said) > MOST_ERRORS:
                return self._ended("lost", f"remedy leads nowhere: {lines[0]}")
            if heal is not None:
                heal()
            for line in lines:
                self._delete(line)
            broken = self._make_missing()
            ended = broken or self.run()
        if heal is not None:
            heal()
        return self.judged(said)

    def _delete(self, line: str) -> None:
        for name in outcome.follow(line, self.clone, self.reference):
            self._count_gone(name)

    def _make_missing(self) -> Ended | None:
        """Make what was deleted, in the order of the plan; returns how the first job ended that failed."""
        if self.driven:
            return None
        for name in self.reference.targets():
            missing = not all(is_finished(self.clone, made) for made in self.reference.made_by(name))
            if missing and name != self.target:
                ended = self.run(name)
                if ended.code:
                    return ended
        return None

    def judged(self, said: list[str]) -> Outcome:
        """What became of the clone, after everything that was said was followed."""
        if not self.clone.let_end():
            return self._ended("lost", "processes that never end")
        kept, unseen = outcome.kept_damage(self.clone, self.harmed)
        if unseen:
            names = ", ".join(path.relative_to(self.clone.results).as_posix() for path in unseen)
            return self._ended("silently wrong", f"damage that verify says nothing of: {names}")
        for path in kept:
            said.append(f"verify: {path.name}")
            artefact = "/".join(path.relative_to(self.clone.results).parts[:2])
            if artefact in self.reference.digests:
                self.remove(artefact)
            else:
                path.unlink(missing_ok=True)
                self.clone.write_plan(self.reference.plan)
        ended = self._make_missing()
        if ended is None and not all(is_finished(self.clone, name) for name in self.reference.digests):
            ended = self.run()
        if ended is not None and ended.code:
            return self._ended("lost", f"after {said}: {outcome.told(ended, self.clone)}")
        wrong = outcome.differences(self.clone, self.reference)
        if wrong:
            return self._ended("lost" if said else "silently wrong", "; ".join(wrong))
        again = self._made_again()
        if again:
            return self._ended("lost", again)
        return self._ended("clear error" if said else "recomputed", "; ".join(said))

    def _made_again(self) -> str | None:
        """Says which artefact was made, or trained, though it was finished and nobody had touched it."""
        for artefact, steps in self.clone.steps().items():
            if not self.gone[artefact]:
                return f"{artefact} was finished and {steps} steps were trained again"
        written = Counter(event.path for event in self.clone.events() if event.what == "os.rename")
        for artefact in self.reference.digests:
            extra = written[f"{artefact}/{MANIFEST}"] - self.gone[artefact]
            if extra > 0:
                return f"{artefact} was finished and made again ({extra} time(s) more than it was gone)"
        return None

    def _ended(self, verdict: outcome.Verdict, detail: str) -> Outcome:
        steps = self.clone.steps()
        allowed = {artefact: self.reference.jobs[artefact].steps * self.gone[artefact] for artefact in steps}
        left = outcome.left_over(self.clone, self.reference)
        return Outcome(
            verdict,
            detail,
            steps=steps.total(),
            steps_repeated=sum(max(0, count - allowed[artefact]) for artefact, count in steps.items()),
            steps_of_finished=sum(count for artefact, count in steps.items() if not self.gone[artefact]),
            left=left,
        )

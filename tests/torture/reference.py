"""The undisturbed experiment: made once, then what every case must come back to."""

import csv
import random
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.sources.row_files import LAYOUTS
from tests.torture.clone import Clone, Event
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.artefacts.verify import verify
from unix_lib.recipes.plan import STAGES
from unix_lib.translate.answers import Answers
from unix_lib.translate.asking import COMPLETE, Answer, Request, settled
from unix_lib.translate.protected import protect

PHOTOS, NOTES, WORDS = 24, 3, ("red", "green", "blue", "large", "small", "round", "plain", "bright", "dark")


@dataclass(frozen=True)
class Undisturbed:
    """How a job went when nothing disturbed it."""

    seconds: float
    changes: list[Event]  # of files, in order
    steps: int  # of optimizers


class Reference:
    """A clone in which the experiment ran to its end, and what each of its jobs did.

    Attributes:
        digests: content digests by artefact.
        files: contents of the artefacts' files, by path below the results.
        names: of all files below the results.
    """

    def __init__(self, clone: Clone) -> None:
        """Read what `make_reference` made."""
        self.clone = clone
        self.plan = clone.plan()
        self.digests = {name: read_manifest(clone.results / name).digest for name in self.plan.jobs}
        self.files = {
            path.relative_to(clone.results).as_posix(): path.read_bytes()
            for artefact in self.plan.jobs
            for path in files_of(clone, artefact)
        }
        self.names = {path.relative_to(clone.results).as_posix() for path in clone.results.rglob("*")}
        events: dict[str, list[Event]] = {}
        for event in clone.events():
            events.setdefault(event.artefact, []).append(event)
        self.jobs = {
            target: Undisturbed(
                seconds=of_job[-1].at - of_job[0].at,
                changes=[event for event in of_job if event.what not in ("start", "step")],
                steps=sum(event.what == "step" for event in of_job),
            )
            for target, of_job in events.items()
        }

    def targets(self, *stages: str) -> list[str]:
        """Artefacts that a job of their own makes."""
        return self.plan.targets(*(stages or STAGES))

    def made_by(self, target: str) -> list[str]:
        """All artefacts of a target's job."""
        return [name for name, job in self.plan.jobs.items() if target in (name, job.made_by)]

    def read_by(self, target: str) -> list[str]:
        """Artefacts that a target's job may read."""
        own = self.made_by(target)
        named = [name for made in own for name in self.plan.jobs[made].recipe.upstream]
        return [name for name in dict.fromkeys([*named, *self.plan.jobs[target].after]) if name not in own]

    def command(self, target: str) -> list[str]:
        """A job's command, as its log has it."""
        log = (self.clone.results / "logs" / f"{target}.log").read_text(encoding="utf-8")
        return shlex.split(next(line for line in log.splitlines() if " --recipe " in line))


def make_reference(clone: Clone) -> Reference:
    """Run the whole experiment, undisturbed; what a clone has already is made again only where the code is another."""
    clone.copy_code()
    if not (clone.folder / "data").exists():
        write_answers(clone, write_data(clone.folder / "data"))
    ended = clone.run(clone.driver())
    if ended.code:
        raise RuntimeError(f"the undisturbed run failed:\n{ended.output}")
    faults = verify(clone.results).faults
    if faults:
        raise RuntimeError(f"the undisturbed run does not verify: {faults}")
    return Reference(clone)


def files_of(clone: Clone, artefact: str) -> list[Path]:
    """All files in an artefact's folder, in a fixed order."""
    return sorted(path for path in (clone.results / artefact).rglob("*") if path.is_file())


def remove(clone: Clone, artefacts: list[str]) -> None:
    """Delete artefacts, as an error's remedy says."""
    for artefact in artefacts:
        shutil.rmtree(clone.results / artefact, ignore_errors=True)


def is_finished(clone: Clone, artefact: str) -> bool:
    return (clone.results / artefact / MANIFEST).is_file()


def write_answers(clone: Clone, texts: list[str]) -> None:
    """What a model said to what the experiment's translations ask of some texts, as batch files bring it."""
    translate = clone.plan().experiment.translate
    for wording in translate.translations.values():
        with Answers(clone.folder / translate.answers, "imported") as kept:
            for text in texts:
                request = settled(protect(text, wording.keep), wording, lambda request: None)
                assert isinstance(request, Request)
                kept.add(request.key, Answer(f"Ein Bild: {text}", COMPLETE))


def write_data(folder: Path) -> list[str]:
    """A user's own files: images with captions, which are returned, texts, and files of rows."""
    draw, captions = random.Random(218), []
    (folder / "photos").mkdir(parents=True)
    with open(folder / "captions.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for number in range(PHOTOS):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC)
            image.save(folder / "photos" / f"{number:03d}.png")
            captions.append(f"A {draw.choice(WORDS)}, {draw.choice(WORDS)} pattern")
            rows.writerow([f"{number:03d}.png", captions[-1]])
    (folder / "notes").mkdir()
    for number in range(NOTES):
        paragraphs = [" ".join(draw.choices(WORDS, k=80)).capitalize() + "." for _ in range(12)]
        (folder / "notes" / f"{number}.txt").write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    for layout in ("finevision", "pairs.tsv"):
        LAYOUTS[layout].write(folder / LAYOUTS[layout].file, PHOTOS)
    return captions

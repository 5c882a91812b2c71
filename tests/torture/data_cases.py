"""Cases on files from outside: a user's captions, images and texts, and files of questions, each with mutated bytes.

Other data are other artefacts, so there are no digests to come back to. Instead every row must be accounted for, kept
or set aside, or one clear error must say that the file can't be used; with the file restored everything is as it was.
"""

import random
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.sources.row_files import LAYOUTS
from tests.torture import outcome
from tests.torture.clone import Ended
from tests.torture.damage import flip, truncate
from tests.torture.kinds import kind
from tests.torture.outcome import Outcome
from tests.torture.room import Room
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.verify import verify
from unix_lib.config.evaluate import BenchmarkSettings
from unix_lib.config.strict import ConfigError
from unix_lib.recipes.plan import Plan

UNCAPTIONED = "image without caption"  # set aside by the records' job, and no row of the captions
MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    lambda line, draw: _at(line, draw, b'"'),
    lambda line, draw: _at(line, draw, bytes([draw.choice(b"\t,;{}[]\\'")])),
    lambda line, draw: _at(line, draw, bytes([draw.randrange(0x80, 0x100)])),
    lambda line, draw: _at(line, draw, bytes([draw.choice(b"\x00\x1a\x1f\x7f")])),
    lambda line, draw: _at(line, draw, "\u2028".encode()),
    lambda line, draw: line.replace(b'"', b"", 1),
    lambda line, draw: line[: draw.randrange(len(line) + 1)] + b"!",
    lambda line, draw: line[draw.randrange(len(line) + 1) :] + b"!",
    lambda line, draw: line + b"\r",
    lambda line, draw: line + b"\n" + line,
    lambda line, draw: bytes(reversed(line)),
]


def _at(line: bytes, draw: random.Random, inserted: bytes) -> bytes:
    place = draw.randrange(len(line) + 1)
    return line[:place] + inserted + line[place:]


def mutate_lines(path: Path, draw: random.Random, *, header: bool) -> int:
    """Change one to five lines of a file, never the header; returns how many physical rows it has then."""
    lines = path.read_bytes().splitlines()
    first = int(header)
    for number in sorted(draw.sample(range(first, len(lines)), min(draw.randint(1, 5), len(lines) - first))):
        lines[number] = draw.choice(MUTATIONS)(lines[number], draw)
    data = b"\n".join(lines) + b"\n"
    path.write_bytes(data)
    return sum(bool(line.strip()) for line in data.split(b"\n")) - first


def make(room: Room, plan: Plan, artefact: str) -> Ended | Manifest:
    """Make a planned artefact, by a command like another one's of its stage."""
    known = room.reference.targets(artefact.partition("/")[0])[0]
    maker = plan.jobs[artefact].made_by or artefact
    ended = room.clone.run([word.replace(known, maker) for word in room.reference.command(known)])
    return ended if ended.code else read_manifest(room.clone.results / artefact)


def accounted(room: Room, artefacts: list[str], plan: Plan, rows: int, kept: Callable[[Manifest], int]) -> Outcome:
    """Make artefacts; of the last one every row must be accounted for."""
    room.clone.write_plan(plan)
    for artefact in artefacts:
        made = make(room, plan, artefact)
        if isinstance(made, Ended):
            lines = outcome.clear_errors(made)
            return (
                Outcome("clear error", lines[0]) if len(lines) == 1 else Outcome("lost", outcome.told(made, room.clone))
            )
    found = kept(made) + sum(count for reason, count in made.rejected.items() if reason != UNCAPTIONED)
    if found < rows:
        return Outcome("silently wrong", f"{rows - found} of {rows} rows are neither kept nor set aside")
    faults = verify(room.clone.results).faults
    return Outcome("silently wrong", faults[0]) if faults else Outcome("recomputed", f"{rows} rows")


def rows_of(manifest: Manifest, *prefixes: str) -> int:
    return sum(entry.rows or 0 for entry in manifest.files if entry.path.startswith(prefixes))


def planned(room: Room, values: dict[str, object] | None = None) -> Plan | Outcome:
    """The plan of what the data are now, with other values of the config."""
    try:
        if values is None:
            return room.clone.plan()
        config = room.clone.config.with_name("mutated.yaml")
        text = yaml.safe_dump({"extends": room.clone.config.name, **values})
        (room.clone.folder / config).write_text(text, encoding="utf-8")
        return room.clone.plan(config)
    except ConfigError as error:
        return Outcome("clear error", str(error))


def captioned(room: Room, rows: int) -> Outcome:
    """Make the images and the records of the captioned images."""
    plan = planned(room)
    if isinstance(plan, Outcome):
        return plan
    names = [name for what in ("photos-images", "photos") for name in plan.parts("sources")[what]]
    return accounted(room, names, plan, rows, lambda made: rows_of(made, "train-", "heldout-"))


@kind("tables are mutated", "data", times=5)
def tables(room: Room) -> Outcome:
    path = room.clone.folder / "data" / LAYOUTS["pairs.tsv"].file
    rows = mutate_lines(path, room.random, header=True)
    return in_place(room, "pairs", rows)


@kind("files of rows are cut or have flipped bits", "data", times=5)
def files_of_rows(room: Room) -> Outcome:
    """Of what is cut off nobody knows how many rows it had."""
    name, layout = room.random.choice([("vision", "finevision"), ("pairs", "pairs.tsv")])
    room.random.choice([truncate, flip])(room.clone.folder / "data" / LAYOUTS[layout].file, room.random)
    return in_place(room, name, 0)


def in_place(room: Room, source: str, rows: int) -> Outcome:
    """Make a source whose samples lie in files of rows, and encode its images."""
    plan = planned(room)
    if isinstance(plan, Outcome):
        return plan
    names = [name for what in (f"{source}-images", source) for name in plan.parts("sources")[what]]
    made = accounted(room, names, plan, rows, lambda made: rows_of(made, "train-", "heldout-"))
    return (
        made if made.verdict != "recomputed" else accounted(room, plan.parts("encode")[source], plan, 0, lambda made: 0)
    )


@kind("captions are mutated", "data", times=8)
def captions(room: Room) -> Outcome:
    rows = mutate_lines(room.clone.folder / "data" / "captions.csv", room.random, header=True)
    return captioned(room, rows)


@kind("captions are cut or have flipped bits", "data", times=3)
def captions_cut(room: Room) -> Outcome:
    path = room.clone.folder / "data" / "captions.csv"
    room.random.choice([truncate, flip])(path, room.random)
    return captioned(room, len([line for line in path.read_bytes().split(b"\n") if line.strip()]) - 1)


@kind("images are cut or have flipped bits", "data", times=3)
def images(room: Room) -> Outcome:
    files = sorted((room.clone.folder / "data" / "photos").iterdir())
    for path in room.random.sample(files, 5):
        room.random.choice([truncate, flip])(path, room.random)
    return captioned(room, len(files))


@kind("texts are mutated", "data", times=3)
def texts(room: Room) -> Outcome:
    path = room.random.choice(sorted((room.clone.folder / "data" / "notes").iterdir()))
    if room.random.random() < 0.5:
        mutate_lines(path, room.random, header=False)
    else:
        room.random.choice([truncate, flip])(path, room.random)
    plan = planned(room)
    if isinstance(plan, Outcome):
        return plan
    return accounted(room, plan.parts("sources")["notes"], plan, 0, lambda made: 0)


@kind("question files are mutated", "data", times=12)
def questions(room: Room) -> Outcome:
    """A file of any benchmark's questions, as a source made it, becomes one that was fetched, mutated."""
    evaluate = room.reference.plan.experiment.evaluate
    assert evaluate is not None
    a_row_each = ("geneval", "yes_no", "multiple_choice", "lm_eval")  # scorers whose samples are rows of such a file
    known = [(name, each) for name, each in sorted(evaluate.benchmarks.items()) if each.scorer in a_row_each]
    name, benchmark = room.random.choice(known)
    path = _question_file(room, benchmark)
    fetched = room.clone.folder / "data" / path.name
    fetched.write_bytes(path.read_bytes())
    rows = mutate_lines(fetched, room.random, header=path.suffix == ".tsv")
    only: dict[str, object] = dict.fromkeys(evaluate.benchmarks)
    only[name] = {"source": None, "file": f"data/{path.name}"}
    plan = planned(room, {"evaluate": {"groups": {"all": [name]}, "benchmarks": only}})
    if isinstance(plan, Outcome):
        return plan
    scores = plan.of_kind("evaluate", "scores")[-1]
    answers = plan.jobs[scores].recipe.upstream
    made = [artefact for artefact in answers if plan.jobs[artefact].recipe.stage == "generate"]
    ended = accounted(room, [*made, scores], plan, rows, lambda made: rows_of(made, "samples/"))
    return Outcome(ended.verdict, f"{name}: {ended.detail}")


def _question_file(room: Room, benchmark: BenchmarkSettings) -> Path:
    """What a source made for a benchmark."""
    (source,) = room.reference.plan.parts("sources")[f"{benchmark.source}-benchmarks"]
    (path,) = (room.clone.results / source / "benchmarks").glob(f"{benchmark.made()}.*")
    return path

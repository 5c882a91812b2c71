"""A source of one's own: poems from a text file, one a paragraph, and what rhymes in those held out."""

import json
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import write_text
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.sources import HeldOut, SourceKind, SourceSettings
from unix_lib.config.strict import StrictModel, key


class PoemsFile(StrictModel):
    """Where the poems are."""

    path: str = key("text file, poems apart by empty lines")


class PlannedPoems(PoemsFile, ReadsOutside):
    """The job: also what the file is, so that an edited file makes the job run again."""

    held_out: HeldOut = key("what is held out")

    def identify(self, outside: Outside) -> FilesIdentity:
        return outside.files([Path(self.path)])


class PoemsSource(PoemsFile, SourceSettings):
    """What a config says of it."""

    def benchmarks(self) -> tuple[str, ...]:
        return ("rhymes",)

    def needs(self, name: str) -> list[Need]:
        return [Need(f"source {name}: {self.path}", local=Path(self.path))]

    def described(self) -> str:
        return "poems"


KIND = SourceKind(
    settings=PoemsSource,
    records=JobKind(PlannedPoems, f"{__name__}:make_records", logic_version=1),
    benchmarks=JobKind(PlannedPoems, f"{__name__}:make_rhymes", logic_version=1),
)


def poems_of(job: Any) -> list[str]:
    """The poems; that the file is still the one that was planned with is checked before and afterwards."""
    return [poem.strip() for poem in Path(job.settings.path).read_text(encoding="utf-8").split("\n\n") if poem.strip()]


def make_records(job: Any) -> None:
    """Poems as texts, held out by the rule of every source."""
    from unix_lib.records.rejected import RejectedSamples
    from unix_lib.records.schema import RECORD, TEXT
    from unix_lib.records.shards import SPLITS, ShardWriter

    poems, files = poems_of(job), {}
    for split in SPLITS:
        with ShardWriter(job.folder, split, RECORD) as writer:
            for number, poem in enumerate(poems):
                if job.settings.held_out.holds_out(poem) == (split == "heldout"):
                    row = {"sample_id": f"poem-{number}", "kind": TEXT, "text": poem, "source": job.recipe.name}
                    writer.write(row)
        files |= writer.files
    rejected = RejectedSamples()  # a paragraph is a poem: nothing is set aside here
    job.finish(files | rejected.write(job.folder), rejected=rejected.counts, facts={"poems": len(poems)})


def make_rhymes(job: Any) -> None:
    """Held-out poems without their last word."""
    heldout = [poem for poem in poems_of(job) if job.settings.held_out.holds_out(poem)]
    lines = [json.dumps(poem.rsplit(" ", 1)) + "\n" for poem in heldout]
    write_text(job.folder / "benchmarks" / "rhymes.jsonl", "".join(lines))
    job.finish({"benchmarks/rhymes.jsonl": len(lines)})

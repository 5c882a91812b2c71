"""What every source has in its config, and the jobs that a kind of source has."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from unix_lib.config.kinds import JobKind, Kind
from unix_lib.config.needs import Need
from unix_lib.config.outside import Outside, ReadsOutside
from unix_lib.config.strict import Model, StrictModel, key

File = TypeVar("File", Path, str)


class HeldOut(StrictModel):
    """What is held out in both of two sources that share it, or in neither; of `shapes` it is combinations instead."""

    share: float = key("share of images and texts held out, by the hash of their content", 0.05, gt=0, lt=1)
    seed: int = key("seed of the hashes", 218, ge=0, lt=2**64)

    def holds_out(self, content: str) -> bool:
        """Whether a content is held out.

        Args:
            content: what must not leak: an image's id, which is a hash of its pixels, or a text.
        """
        digest = hashlib.sha256(f"{self.seed}/{content}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < self.share * 2**64


@dataclass(frozen=True)
class SourcePlanning:
    """What the settings of a source's job may depend on beside its own section of the config."""

    source: str  # name of the source
    held_out: HeldOut
    shard: int = 0  # which part of the source, where the job is cut into parts
    benchmark_files: dict[str, str] = field(default_factory=dict)  # of questions about images, with their layouts


class PlannedPart(ReadsOutside):
    """What a job of one part of a source of files depends on beside what its source's config says."""

    source: str = key("name of the source")
    shard: int = key("number of the part")
    held_out: HeldOut = key("what is held out")


class SourceSettings(StrictModel):
    """The config of a source of any kind."""

    kind: str = key("kind of source: one of the project's, or a module of your own")

    def settings_of(self, model: type[Model], planning: SourcePlanning) -> Model:
        """Settings of one of the source's jobs.

        Of the planning, a job's model takes the fields that it has: `source`, `held_out`, `shard`.
        """
        asked = {
            name: getattr(planning, name) for name in ("source", "held_out", "shard") if name in model.model_fields
        }
        return self.narrowed(model, **asked)

    def makes(self, job: str) -> bool:
        """Whether the source has a job that its kind describes."""
        return job != "benchmarks" or bool(self.benchmarks())

    def shards(self, outside: Outside) -> int:
        """Parts that those jobs are cut into which its kind cuts, side by side on a cluster."""
        return 1

    def sampled(self, count: int, outside: Outside) -> "Sequence[SourceSettings]":
        """Sources that together make about `count` of its samples, for a look before anything is made.

        As it stands here, a source makes all of them, so one of many samples says how it is cut down.
        """
        return [self]

    def has_captions(self) -> bool:
        """Whether its images, if it has any, may have captions."""
        return True

    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks that the source makes."""
        return ()

    def needs(self, name: str) -> list[Need]:
        """What the source called `name` needs from outside."""
        return []

    def notices(self, name: str, outside: Outside) -> list[str]:
        """What whoever starts the experiment must know of the source called `name`, a line each."""
        return []

    def described(self) -> str:
        """The data in a few words, for the sentence on an experiment's scale."""
        return self.kind.rpartition(".")[2]


@dataclass(frozen=True)
class SourceKind(Kind[Any]):
    """A kind of source: jobs apart from each other, so that a corrected caption encodes no image again.

    `records` makes texts, captions and conversations; `images` what they show, keyed by what decides the pixels alone;
    `hashes` and `screening` set images aside for what they look like; `benchmarks` makes what is asked about held-out
    samples. `reads` says which of these jobs a job takes as inputs, where the source has them.
    """

    records: JobKind[Any] = field(kw_only=True)
    images: JobKind[Any] | None = None
    hashes: JobKind[Any] | None = None
    screening: JobKind[Any] | None = None
    benchmarks: JobKind[Any] | None = None
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sharded: tuple[str, ...] = ()  # jobs that are cut into parts
    # In the order of the flow.
    JOBS: ClassVar[tuple[str, ...]] = ("images", "hashes", "screening", "records", "benchmarks")


def nth_part(parts: list[list[File]], shard: int) -> list[File]:
    """The files of a part; none where there are fewer parts now than when the plan was made."""
    return parts[shard] if shard < len(parts) else []


def shard_name(name: str, shard: int) -> str:
    """Name of a part's artefact. The first one is called like the whole, which it is as long as there is no other."""
    return f"{name}-{shard:04d}" if shard else name

"""Files of rows that a source reads: where they are, how they are cut into parts, and which of their rows are taken."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import field_validator, model_validator

from unix_lib.config.filters import Condition, columns_of, conditions_of
from unix_lib.config.folders import in_order, in_sentences, paths_matching
from unix_lib.config.hub import FetchedRepository, OfHub
from unix_lib.config.hub_files import HubFile, hub_snapshot, is_named
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.sources import PlannedPart, SourceSettings, nth_part
from unix_lib.config.strict import ConfigError, StrictModel, key

SAMPLED_FILES = 8  # that a sample is taken from


class RowSelection(StrictModel):
    """Which rows of the files are taken: those that pass the filter, of them a share, of them the first."""

    filter: list[Any] = key(
        "rows taken: [[column, operator, value], ...] that all hold, or a list of such lists of which one does; with "
        "==, !=, <, <=, >, >=, in, not in, as pyarrow has them; empty takes all",
        [],
        sparse=True,
    )
    fraction: float = key("share of those taken, by the hash of their place", 1.0, gt=0, le=1, sparse=True)
    limit: int | None = key(
        "at most this many rows, the first ones, which one job then reads; null takes all",
        None,
        ge=1,
        le=10**12,
        sparse=True,
    )

    @field_validator("filter")
    @classmethod
    def _is_a_filter(cls, value: list[Any]) -> list[Any]:
        conditions_of(value)
        return value

    @property
    def conditions(self) -> list[list[Condition]]:
        """The filter as a list of lists."""
        return conditions_of(self.filter)

    @property
    def filtered_columns(self) -> list[str]:
        """Columns that the filter asks for."""
        return columns_of(self.conditions)

    @property
    def one_job(self) -> bool:
        """Whether one job reads all files, since what it takes of one depends on those before."""
        return self.limit is not None

    def draws(self, key_: str) -> bool:
        """Whether a row is in the share that is taken, by its key."""
        if self.fraction >= 1:
            return True
        return int.from_bytes(hashlib.sha256(f"fraction/{key_}".encode()).digest()[:8], "big") < self.fraction * 2**64


class RowFiles(OfHub):
    """Where the files are, and how many of them a job reads."""

    files: list[str] = key(
        "glob patterns of files, below the project's root, absolute, or below the data set's top", min_length=1
    )
    repository: str | None = key(
        "data set of the Hugging Face hub, owner/name, that the files are of; `fetch` brings them", None, sparse=True
    )
    revision: str | None = key(
        "its commit, 40 hexadecimal digits; of a branch or tag, or of null, the default branch, the lock has it",
        None,
        min_length=1,
        sparse=True,
    )
    streaming: bool = key(
        "read the repository's files over HTTP, without a copy here, in jobs that have a network", False, sparse=True
    )
    listed: dict[str, int] | None = key(
        "the repository's files with their bytes, filled in from the lock", None, sparse=True
    )
    shard_megabytes: int = key(
        "files that a job reads, MB: the larger, the fewer jobs; with a limit one job reads all", 1024, ge=1, le=10**6
    )

    @field_validator("files")
    @classmethod
    def _patterns_mean_something(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            parts = PurePosixPath(pattern).parts
            if not parts or any("**" in part and part != "**" for part in parts):
                raise ValueError(
                    f"'{pattern}' is no glob pattern; write one like 'data/a/*.parquet' or 'data/**/*.tar'"
                )
        return patterns

    @model_validator(mode="after")
    def _revision_of_a_repository(self) -> "RowFiles":
        if self.repository is None and self.revision is not None:
            raise ValueError("'revision' goes with 'repository': it is that of a data set of the hub")
        if self.streaming and self.repository is None:
            raise ValueError("'streaming' goes with 'repository': files here are read where they are")
        return self

    def of_hub(self) -> FetchedRepository | None:
        if self.repository is None:
            return None
        return FetchedRepository(repository=self.repository, revision=self.revision, patterns=self.files)

    @property
    def is_pinned(self) -> bool:
        return super().is_pinned and (not self.streaming or self.listed is not None)

    def pinned_at(self, commit: str, files: dict[str, int | None]) -> dict[str, Any]:
        sizes = {name: size for name, size in files.items() if size is not None}
        if self.streaming and len(sizes) < len(files):
            raise ConfigError(f"{self.repository}: the hub states no size of some files; take out 'streaming'")
        return super().pinned_at(commit, files) | {"listed": sizes if len(sizes) == len(files) else None}

    def named_files(self, outside: Outside) -> dict[str, str]:
        """Paths of the files in order, each with its name, which says nothing of the machine that it lies on."""
        return outside.once(("files", *self._which()), lambda: self._found(outside.root))

    def opened(self, path: str, name: str) -> Path:
        """What readers take for one of the files: where it lies, or what reads it over HTTP."""
        if not self.streaming:
            return Path(path)
        assert self.listed is not None
        return HubFile.at(str(self.repository), str(self.revision), name, self.listed[name])

    def _which(self) -> tuple[Hashable, ...]:
        """What decides which files they are."""
        return *self.files, self.repository, self.revision, self.streaming, tuple(self.listed or ())

    def top(self, root: Path) -> Path:
        """The folder below which relative patterns are looked for: the project's root, or the data set's own."""
        return root if self.repository is None else hub_snapshot(self.repository, str(self.revision))

    def _found(self, root: Path) -> dict[str, str]:
        top = self.top(root)
        begins = f"{top / '_'}"[:-1]  # as text: there may be millions
        if self.listed is not None:
            return self._listed(f"{HubFile.folder(self.repository, self.revision)}/" if self.streaming else begins)
        named: dict[str, str] = {}
        for pattern in self.files:
            elsewhere = len(f"{_fixed_part(top / pattern).parent / '_'}") - 1
            for path in paths_matching(pattern, top):
                is_below = path.startswith(begins) and (begins or not path.startswith("/"))
                named.setdefault(path, path[len(begins) if is_below else elsewhere :])
        ordered = {path: named[path] for path in in_order(named)}
        times: Counter[str] = Counter()
        for path, name in ordered.items() if len(set(named.values())) < len(named) else ():
            times[name] += 1
            if times[name] > 1:  # files of one name in folders of one name
                ordered[path] = f"{name}~{times[name]}"
        return ordered

    def _listed(self, begins: str) -> dict[str, str]:
        """The files that the lock lists, whether or not they are here already."""
        assert self.listed is not None
        named = {begins + name: name for name in self.listed if any(is_named(name, each) for each in self.files)}
        return {path: named[path] for path in in_order(named)}

    def _bytes_of(self, path: str, outside: Outside) -> int:
        """Bytes of one of the files; 0 where there is none."""
        return outside.size(path) if self.listed is None else self.listed[self.named_files(outside)[path]]

    def spread_files(self, count: int, outside: Outside) -> list[str]:
        """Patterns that match one file each, at most so many, evenly spread over all of them."""
        top = self.top(outside.root)
        names = self.named_files(outside)
        paths = [Path(path) for path in names]
        chosen = paths[:: -(-len(paths) // count)] if paths else []
        if self.listed is not None:
            return [glob.escape(names[str(path)]) for path in chosen]
        return [glob.escape(str(path.relative_to(top) if path.is_relative_to(top) else path)) for path in chosen]

    def file_parts(self, outside: Outside, *, whole: bool = False) -> list[list[str]]:
        """The files of each part, in order, at least one part; `whole` makes one part of all."""
        megabytes = None if whole else self.shard_megabytes
        return outside.once(
            ("parts", *self._which(), megabytes),
            lambda: cut_into_parts(self.named_files(outside), megabytes, partial(self._bytes_of, outside=outside)),
        )

    def identity_of(self, paths: Iterable[str], outside: Outside) -> FilesIdentity:
        """What some of the files are. Those of the hub are known by its revision, and not read."""
        names = self.named_files(outside)
        if self.repository is None:
            return outside.named({path: names[path] for path in paths})
        digest, total, count = hashlib.sha256(f"{self.repository}@{self.revision}\n".encode()), 0, 0
        for path in paths:
            size = self._bytes_of(path, outside)
            digest.update(os.fsencode(names[path]) + f"\0{size}\n".encode())
            total, count = total + size, count + 1
        return FilesIdentity(count=count, bytes=total, sha256=digest.hexdigest())

    def file_needs(self, name: str) -> list[Need]:
        """What the source called `name` needs from outside."""
        repository = self.of_hub()
        if repository is None:
            return [Need(f"source {name}: {pattern}", local=Path(pattern)) for pattern in self.files]
        return [Need(f"source {name}: {self.repository}", repository=repository, streamed=self.streaming)]

    def files_described(self) -> str:
        """The files in a few words."""
        return self.repository or ", ".join(map(in_sentences, self.files))


class RowSource(RowFiles, RowSelection, SourceSettings):
    """A source whose samples lie in files of rows."""

    def shards(self, outside: Outside) -> int:
        return len(self.file_parts(outside, whole=self.one_job))

    def sampled(self, count: int, outside: Outside) -> "list[RowSource]":
        if self.limit is not None:
            return [self.model_copy(update={"limit": min(count, self.limit)})]
        files = self.spread_files(SAMPLED_FILES, outside)
        each = -(-count // max(1, len(files)))
        return [self.model_copy(update={"files": [file], "limit": each}) for file in files] or [self]

    def needs(self, name: str) -> list[Need]:
        return self.file_needs(name)

    def described(self) -> str:
        return f"{self.kind} of {self.files_described()}"


class PlannedRows(RowFiles, RowSelection, PlannedPart):
    """The settings of a job that reads one part of the files."""

    named_by = "files"

    @property
    def sets_aside(self) -> bool:
        return True

    def part(self, outside: Outside) -> list[str]:
        """Paths of the part's files."""
        if self.listed is not None and self.identity is not None:  # a recipe lists those of its own part only
            return list(self.named_files(outside))
        return nth_part(self.file_parts(outside, whole=self.one_job), self.shard)

    def identify(self, outside: Outside) -> FilesIdentity:
        # Of all of a part's jobs the first one asks.
        what = ("identity", *self._which(), self.shard_megabytes, self.one_job, self.shard)
        return outside.once(what, lambda: self.identity_of(self.part(outside), outside))

    def found(self, outside: Outside) -> dict[str, Any]:
        names, part = self.named_files(outside), self.part(outside)
        own = {names[path]: self._bytes_of(path, outside) for path in part} if self.streaming else None
        return super().found(outside) | {"listed": own}

    def others(self) -> str:
        """Of the hub's files, which nobody edits, some are missing where they are others."""
        if self.repository is None:
            return super().others()
        return f"{self.named()} of {self.repository} are not all here; `unix-lib fetch` brings them, then run again"


def cut_into_parts(paths: Iterable[str], megabytes: int | None, bytes_of: Callable[[str], int]) -> list[list[str]]:
    """The files of each part, in order, at least one part: a part ends with the file that fills it.

    So a new file behind all others changes the last part or adds one, and no part before it.

    Args:
        megabytes: size at which a part is full; None makes one part of all.
        bytes_of: size of a file.
    """
    parts: list[list[str]] = [[]]
    filled = 0
    for path in paths:
        if megabytes is not None and filled >= megabytes * 10**6:
            parts.append([])
            filled = 0
        parts[-1].append(path)
        filled += 0 if megabytes is None else bytes_of(path)
    return parts


def _fixed_part(pattern: Path) -> Path:
    """The folder that a pattern begins with, before its first part that may mean several."""
    fixed = Path(pattern.parts[0])
    for part in pattern.parts[1:-1]:
        if any(sign in part for sign in "*?["):
            break
        fixed /= part
    return fixed

"""The kind of source `text`: the reference topics and docstrings of CPython, or a user's files."""

import platform
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import field_validator, model_validator

from unix_lib.config.folders import matching
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.row_files import cut_into_parts
from unix_lib.config.sources import PlannedPart, SourceKind, SourceSettings, nth_part
from unix_lib.config.strict import StrictModel, key

CLOZE_BLOCK = 4  # cloze questions are made in blocks of this many


class TextDocuments(StrictModel):
    """What decides the documents."""

    corpus: Literal["python-reference", "files"] = key(
        "python-reference: pydoc topics and docstrings", "python-reference"
    )
    files: list[str] = key("glob patterns of UTF-8 text files (corpus: files)", [])
    document_characters: int = key(
        "longest document; longer texts are cut at paragraph borders", 1200, ge=100, le=1_000_000_000
    )
    max_characters: int | None = key(
        "stop after this many characters in all; null takes everything", None, ge=1, le=10**15
    )
    shard_megabytes: int = key(
        "files that a job reads, MB: the larger, the fewer jobs; with max_characters one job reads all",
        256,
        ge=1,
        le=1_000_000,
    )

    def file_shards(self, outside: Outside) -> list[list[Path]]:
        """The user's files below the project's root, part by part."""
        megabytes = self.shard_megabytes if self.max_characters is None else None
        found = sorted({path for pattern in self.files for path in matching(pattern, outside.root)})
        return outside.once((*self.files, megabytes), lambda: cut_into_parts(found, megabytes))


class PlannedText(TextDocuments, PlannedPart):
    """The job of one part of the records; the identity may be that of the reference's texts."""

    sets_aside = True

    named_by = "files"

    def part(self, outside: Outside) -> list[Path]:
        """The user's files of the part."""
        return nth_part(self.file_shards(outside), self.shard)

    def identify(self, outside: Outside) -> FilesIdentity:
        from unix_lib.sources.text.corpus import reference_identity

        return outside.files(self.part(outside)) if self.files else reference_identity(outside.hashes)

    def named(self) -> str:
        here = f"corpus {self.corpus}, here that of Python {platform.python_version()},"
        return super().named() if self.files else here

    def work(self) -> float:
        """Documents of the longest kind."""
        assert self.identity is not None
        characters = min(self.identity.bytes, self.max_characters or self.identity.bytes)
        return characters / self.document_characters


class ClozeQuestions(StrictModel):
    """The benchmark's job, on the records' held-out documents."""

    cloze_questions: int = key(
        "four-choice cloze questions made from the held-out documents, in blocks of four", 200, ge=0, le=1_000_000_000
    )
    seed: int = key("seed of the cloze choices", 218, ge=0, lt=2**64)

    def work(self) -> float:
        """Questions."""
        return self.cloze_questions


class TextSource(TextDocuments, ClozeQuestions, SourceSettings):
    """Plain text: the reference topics and docstrings of the running CPython, or a user's files."""

    kind: Literal["text"]

    @field_validator("files")
    @classmethod
    def _patterns_mean_something(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            path = PurePosixPath(pattern)
            if path.is_absolute():
                raise ValueError(
                    f"'{pattern}' is absolute; give patterns relative to the project's root, where a symbolic link may "
                    "lead elsewhere"
                )
            if not path.parts or any("**" in part and part != "**" for part in path.parts):
                raise ValueError(f"'{pattern}' is no glob pattern; write one like 'data/text/*.txt' or 'data/**/*.txt'")
        return patterns

    @model_validator(mode="after")
    def _cloze_fills_a_block(self) -> "TextSource":
        if 0 < self.cloze_questions < CLOZE_BLOCK:
            raise ValueError(
                f"cloze_questions {self.cloze_questions} gives no question, since they come in blocks of "
                f"{CLOZE_BLOCK}; set 0 or at least {CLOZE_BLOCK}"
            )
        return self

    @model_validator(mode="after")
    def _files_when_asked(self) -> "TextSource":
        if (self.corpus == "files") != bool(self.files):
            raise ValueError("'files' goes with 'corpus: files', and the other way round")
        return self

    def shards(self, outside: Outside) -> int:
        return 1 if self.corpus == "python-reference" else len(self.file_shards(outside))

    def benchmarks(self) -> tuple[str, ...]:
        return ("cloze",) if self.cloze_questions else ()

    def needs(self, name: str) -> list[Need]:
        return [Need(f"source {name}: {pattern}", local=Path(pattern)) for pattern in self.files]

    def notices(self, name: str, outside: Outside) -> list[str]:
        from unix_lib.sources.text.corpus import reference_identity

        if self.corpus != "python-reference":
            return []
        return [
            f"sources.{name}: the prose is the reference of Python {platform.python_version()}, known by its content "
            f"({reference_identity(outside.hashes).sha256[:12]}); it differs between versions of Python, and another "
            "content gives another text tokenizer and other results."
        ]

    def described(self) -> str:
        return "Python's own reference" if self.corpus == "python-reference" else f"text of {', '.join(self.files)}"


KIND = SourceKind(
    settings=TextSource,
    records=JobKind(PlannedText, "unix_lib.sources.text.make:make_records", 4),
    benchmarks=JobKind(ClozeQuestions, "unix_lib.sources.text.make:make_benchmarks", 1),
    reads={"benchmarks": ("records",)},
    sharded=("records",),
)

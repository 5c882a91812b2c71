"""The kind of source `text`: the reference topics and docstrings of CPython, or a user's files."""

import platform
from typing import Any, Literal

from pydantic import model_validator

from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.row_files import PlannedRows, RowFiles, RowSelection
from unix_lib.config.sources import SourceKind, SourcePlanning, SourceSettings
from unix_lib.config.strict import Model, StrictModel, key

CLOZE_BLOCK = 4  # cloze questions are made in blocks of this many
FILE_RULES = 1  # raised when files give other documents; the reference's have the job's logic version alone


class TextDocuments(RowFiles, RowSelection):
    """What decides the documents."""

    corpus: Literal["python-reference", "files"] = key(
        "python-reference: pydoc topics and docstrings; files: a user's, which is meant where `files` are named",
        "python-reference",
    )
    files: list[str] = key(
        "glob patterns, below the project's root, absolute, or below the data set's top, of UTF-8 text files, a file a "
        "text, and of tables (.jsonl, .json, .csv, .tsv, .parquet), a row a text; all but .parquet also with .gz",
        [],
    )
    text_column: str = key("column of tables that has the texts", "text", sparse=True)
    document_characters: int = key(
        "longest document; longer texts are cut at paragraph borders", 1200, ge=100, le=1_000_000_000
    )
    max_characters: int | None = key(
        "stop after this many characters in all; null takes everything", None, ge=1, le=10**15
    )
    shard_megabytes: int = key(
        "files that a job reads, MB: the larger, the fewer jobs; with max_characters or a limit one job reads all",
        256,
        ge=1,
        le=1_000_000,
    )

    @property
    def one_job(self) -> bool:
        return super().one_job or self.max_characters is not None


class PlannedText(TextDocuments, PlannedRows):
    """The job of one part of the records; the identity may be that of the reference's texts."""

    rules: int = key("version of the rules by which files are read and cut; 0 of the reference", 0, ge=0, sparse=True)

    def identify(self, outside: Outside) -> FilesIdentity:
        from unix_lib.sources.text.reference import reference_identity

        return super().identify(outside) if self.files else reference_identity(outside.hashes)

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
    """Plain text: the reference topics and docstrings of the running CPython, a user's files, or a data set of the hub.

    A row of a table is a text of its own, whose documents hold nothing of another's.
    """

    kind: Literal["text"]

    @model_validator(mode="before")
    @classmethod
    def _files_are_meant(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("files") and "corpus" not in values:
            return values | {"corpus": "files"}
        return values

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
        for name in ("repository", "filter", "limit"):
            if not self.files and getattr(self, name):
                raise ValueError(f"'{name}' goes with 'files': Python's reference has no rows to choose from")
        return self

    def settings_of(self, model: type[Model], planning: SourcePlanning) -> Model:
        settings = super().settings_of(model, planning)
        return (
            settings.model_copy(update={"rules": FILE_RULES})
            if "rules" in model.model_fields and self.files
            else settings
        )

    def sampled(self, count: int, outside: Outside) -> "list[TextSource]":
        characters = min(count * self.document_characters, self.max_characters or 10**15)
        return [self.model_copy(update={"max_characters": characters})]

    def shards(self, outside: Outside) -> int:
        return len(self.file_parts(outside, whole=self.one_job)) if self.files else 1

    def benchmarks(self) -> tuple[str, ...]:
        return ("cloze",) if self.cloze_questions else ()

    def needs(self, name: str) -> list[Need]:
        return self.file_needs(name)

    def notices(self, name: str, outside: Outside) -> list[str]:
        from unix_lib.sources.text.reference import reference_identity

        if self.files:
            return []
        return [
            f"sources.{name}: the prose is the reference of Python {platform.python_version()}, known by its content "
            f"({reference_identity(outside.hashes).sha256[:12]}); it differs between versions of Python, and another "
            "content gives another text tokenizer and other results."
        ]

    def described(self) -> str:
        return f"text of {self.files_described()}" if self.files else "Python's own reference"


KIND = SourceKind(
    settings=TextSource,
    records=JobKind(PlannedText, "unix_lib.sources.text.make:make_records", 4),
    benchmarks=JobKind(ClozeQuestions, "unix_lib.sources.text.make:make_benchmarks", 1),
    reads={"benchmarks": ("records",)},
    sharded=("records",),
)

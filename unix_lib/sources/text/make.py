"""Makes a `text` source: documents of plain text, and cloze questions from those held out.

A part of the corpus is held in memory, which is what the removal of copies costs; copies in other parts stay, on the
same side of the split.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator

from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.folders import matching
from unix_lib.config.jobs import Execution
from unix_lib.config.outside import Outside
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import TEXT, Row
from unix_lib.records.shards import SPLITS, Split, iterate_rows
from unix_lib.sources.errors import SourceError
from unix_lib.sources.text.cloze import make_cloze
from unix_lib.sources.text.corpus import Text, python_reference, user_files
from unix_lib.sources.text.documents import cut_into_documents
from unix_lib.sources.text.kind import ClozeQuestions, PlannedText, TextDocuments
from unix_lib.sources.writing import finish, write_records

DUPLICATE = "duplicate document"

_log = logging.getLogger(__name__)


def make_records(job: Job[PlannedText, Execution]) -> Manifest:
    """Make `sources/<source>`; `files` are looked for below the project's root.

    Raises:
        SourceError: too little text, or a pattern that matches no file.
    """
    settings, name = job.settings, job.settings.source
    rejected = RejectedSamples()
    documents, ended = gather_documents(read_corpus(settings, job.outside, rejected), settings, rejected)
    if not documents:
        rejected.write(job.folder)
        reasons = [f"{count} x {reason}" for reason, count in rejected.counts.items()]
        reasons += [f"max_characters {settings.max_characters} leaves out the rest"] * ended
        raise SourceError(
            f"sources.{name}: no usable text "
            f"({', '.join(reasons) or 'nothing was set aside'}); add text, or raise max_characters where it is set; "
            f"every rejected sample is in {job.folder / REJECTED_FILE}"
        )

    def rows_of(split: Split) -> Iterator[Row]:
        for sample_id, text in documents:
            if settings.held_out.holds_out(text) == (split == "heldout"):
                yield {"sample_id": sample_id, "kind": TEXT, "text": text, "source": name}

    files, facts = write_records(job.folder, rows_of)
    corpus = hashlib.sha256()
    for _, text in documents:
        corpus.update(text.encode() + b"\0")
    facts["corpus_sha256"] = corpus.hexdigest()
    for split in SPLITS:
        facts[f"{split}_characters"] = sum(len(row["text"]) for row in rows_of(split))
    _log.info("%d documents, %d characters", len(documents), sum(len(text) for _, text in documents))
    return finish(job, files, facts, rejected)


def make_benchmarks(job: Job[ClozeQuestions, Execution]) -> Manifest:
    """Make `sources/<source>-benchmarks`: cloze questions from the records' held-out documents.

    Raises:
        SourceError: no document that a question can be made of.
    """
    documents = [
        row["text"] for records in job.inputs("records") for row in iterate_rows(records, "heldout", columns=["text"])
    ]
    questions = make_cloze(documents, job.settings.cloze_questions, job.settings.seed)
    if job.settings.cloze_questions and not questions:
        raise SourceError(
            f"sources.{job.recipe.name.removesuffix('-benchmarks')}: the held-out text is too short for a cloze "
            "question; add text, or set cloze_questions: 0"
        )
    lines = [json.dumps(question, ensure_ascii=False) + "\n" for question in questions]
    write_text(job.folder / "benchmarks" / "cloze.jsonl", "".join(lines))
    return finish(job, {"benchmarks/cloze.jsonl": len(questions)}, {"cloze_questions": len(questions)})


def read_corpus(settings: PlannedText, outside: Outside, rejected: RejectedSamples) -> Iterable[Text]:
    """The texts of the corpus.

    Raises:
        SourceError: a pattern that matches no file.
    """
    if settings.corpus == "python-reference":
        return python_reference(rejected)
    for pattern in settings.files:
        if not matching(pattern, outside.root):
            raise SourceError(
                f"sources.{settings.source}.files: '{pattern}' matches no file below {outside.root}; correct it"
            )
    return user_files(settings.part(outside), outside, rejected)


def gather_documents(
    texts: Iterable[Text], settings: TextDocuments, rejected: RejectedSamples
) -> tuple[list[tuple[str, str]], bool]:
    """(sample id, text) of every document, each text once, and whether `max_characters` ended the corpus."""
    documents: list[tuple[str, str]] = []
    seen: set[str] = set()
    total = 0
    for text in texts:
        for number, document in enumerate(cut_into_documents(text.text, settings.document_characters)):
            sample_id = f"{text.name}#{number}"
            if document in seen:
                rejected.add(sample_id, text.name, DUPLICATE)
                continue
            total += len(document)
            if settings.max_characters is not None and total > settings.max_characters:
                return documents, True
            seen.add(document)
            documents.append((sample_id, document))
    return documents, False

"""Makes a `text` source: documents of plain text, and cloze questions from those held out.

Documents are written as they are read; what is kept of each in memory is a digest, by which copies are known. Copies in
other parts stay, on the same side of the split.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator

from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import RECORD, TEXT
from unix_lib.records.shards import ShardWriter, iterate_rows
from unix_lib.sources.copies import Seen
from unix_lib.sources.rows import TakenRows, require_usable
from unix_lib.sources.text.cloze import make_cloze
from unix_lib.sources.text.documents import cut_into_documents
from unix_lib.sources.text.files import documents_in
from unix_lib.sources.text.kind import ClozeQuestions, PlannedText
from unix_lib.sources.text.reference import python_reference
from unix_lib.sources.writing import finish

MOST_CHARACTERS = 1 << 25  # held out, that cloze questions are made from
DUPLICATE = "duplicate document"

_log = logging.getLogger(__name__)


def make_records(job: Job[PlannedText, Execution]) -> Manifest:
    """Make a part of `sources/<source>`.

    Raises:
        SourceError: no usable text, unless other parts may have some, or a pattern that matches no file.
    """
    settings, name = job.settings, job.settings.source
    rejected = RejectedSamples()
    longest = settings.document_characters
    taken = TakenRows(settings, job.outside, rejected) if settings.files else None
    texts: Iterable[tuple[str, Iterable[str]]]
    if taken is None:
        texts = ((text.name, cut_into_documents(text.text, longest)) for text in python_reference(rejected))
    else:
        texts = documents_in(taken, settings.text_column, longest)
    documents = Documents(texts, settings.max_characters, rejected)
    corpus = hashlib.sha256()
    with ShardWriter(job.folder, "train", RECORD) as train, ShardWriter(job.folder, "heldout", RECORD) as heldout:
        characters = {"train": 0, "heldout": 0}
        for sample_id, text in documents:
            writer = heldout if settings.held_out.holds_out(text) else train
            writer.write({"sample_id": sample_id, "kind": TEXT, "text": text, "source": name})
            characters[writer.split] += len(text)
            corpus.update(text.encode() + b"\0")
    require_usable(
        job,
        train.rows + heldout.rows,
        taken,
        rejected,
        what="text",
        remedy="add text, or raise max_characters where it is set",
        reasons=[f"max_characters {settings.max_characters} leaves out the rest"] * documents.ended,
    )
    facts = {
        "train_records": train.rows,
        "heldout_records": heldout.rows,
        "corpus_sha256": corpus.hexdigest(),
        "train_characters": characters["train"],
        "heldout_characters": characters["heldout"],
    }
    _log.info("%d documents, %d characters", train.rows + heldout.rows, sum(characters.values()))
    return finish(job, {**train.files, **heldout.files}, facts | (taken.facts if taken else {}), rejected)


def make_benchmarks(job: Job[ClozeQuestions, Execution]) -> Manifest:
    """Make `sources/<source>-benchmarks`: cloze questions from the records' held-out documents.

    Where they give none, the benchmark is empty, and what asks it says so.
    """
    texts = (
        row["text"] for records in job.inputs("records") for row in iterate_rows(records, "heldout", columns=["text"])
    )
    questions = make_cloze(first_documents(texts), job.settings.cloze_questions, job.settings.seed)
    if not questions:
        _log.warning(
            "sources.%s: the held-out text gives no cloze question; add text, or set cloze_questions: 0",
            job.recipe.name.removesuffix("-benchmarks"),
        )
    lines = [json.dumps(question, ensure_ascii=False) + "\n" for question in questions]
    write_text(job.folder / "benchmarks" / "cloze.jsonl", "".join(lines))
    return finish(job, {"benchmarks/cloze.jsonl": len(questions)}, {"cloze_questions": len(questions)})


def first_documents(texts: Iterable[str]) -> list[str]:
    """As many texts as cloze questions are made from, which have to be in memory."""
    documents: list[str] = []
    characters = 0
    for text in texts:
        if characters > MOST_CHARACTERS:
            break
        documents.append(text)
        characters += len(text)
    return documents


class Documents:
    """(sample id, text) of every document, each text once.

    Args:
        texts: (name, documents) of each.
        max_characters: the corpus ends before the document with which it would have more.
        rejected: gets what came before.
    """

    def __init__(
        self, texts: Iterable[tuple[str, Iterable[str]]], max_characters: int | None, rejected: RejectedSamples
    ) -> None:
        self.ended = False  # whether `max_characters` ended the corpus
        self._texts, self._left, self._rejected = texts, max_characters, rejected
        self._seen = Seen()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, documents in self._texts:
            for number, document in enumerate(documents):
                sample_id = f"{name}#{number}"
                if self._seen.before(document):
                    self._rejected.add(sample_id, name, DUPLICATE)
                    continue
                if self._left is not None:
                    self._left -= len(document)
                    if self._left < 0:
                        self.ended = True
                        return
                yield sample_id, document

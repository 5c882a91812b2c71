"""The `text` source: documents of plain text, and cloze questions from those held out.

The whole corpus is held in memory, which is what an exact held-out share and the removal of copies cost.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import Manifest
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import SOURCE_RECORD, TEXT
from unix_lib.records.shards import SPLITS, ShardWriter
from unix_lib.sources.errors import SourceError
from unix_lib.sources.split import choose_held_out_keys
from unix_lib.sources.text.cloze import make_cloze
from unix_lib.sources.text.corpus import python_reference, user_files
from unix_lib.sources.text.documents import cut_into_documents

DUPLICATE = "duplicate document"

_log = logging.getLogger(__name__)


def gather_documents(
    settings: dict[str, Any], source: str, root: Path, rejected: RejectedSamples
) -> tuple[list[tuple[str, str]], bool]:
    """(sample id, text) of every document, each text once, and whether `max_characters` ended the corpus.

    Raises:
        SourceError: a pattern that matches no file.
    """
    if settings["corpus"] == "files":
        texts = user_files(settings["files"], root, source, rejected)
    else:
        texts = python_reference(rejected)
    most = settings["max_characters"]
    documents: list[tuple[str, str]] = []
    seen: set[str] = set()
    total = 0
    for text in texts:
        for number, document in enumerate(cut_into_documents(text.text, settings["document_characters"])):
            sample_id = f"{text.name}#{number}"
            if document in seen:
                rejected.add(sample_id, text.name, DUPLICATE)
                continue
            total += len(document)
            if most is not None and total > most:
                return documents, True
            seen.add(document)
            documents.append((sample_id, document))
    return documents, False


def make_text(job: Job) -> Manifest:
    """Make a `text` source; `files` are looked for below the working directory, the project's root.

    Raises:
        SourceError: too little text, or none that a cloze question can be made of.
    """
    settings, name = job.settings, job.recipe.name
    rejected = RejectedSamples()
    documents, ended = gather_documents(settings, name, Path.cwd(), rejected)
    if len(documents) < 2:
        rejected.write(job.folder)
        reasons = [f"{count} x {reason}" for reason, count in rejected.counts.items()]
        reasons += [f"max_characters {settings['max_characters']} leaves out the rest"] * ended
        raise SourceError(
            f"sources.{name}: {len(documents)} usable samples, too few for a training and a held-out split "
            f"({', '.join(reasons) or 'nothing was set aside'}); add text, or raise max_characters where it is set; "
            f"every rejected sample is in {job.folder / REJECTED_FILE}"
        )
    held_out = choose_held_out_keys((text for _, text in documents), settings["heldout_share"], settings["seed"], name)
    corpus = hashlib.sha256()
    for _, text in documents:
        corpus.update(text.encode() + b"\0")
    characters = {
        split: sum(len(t) for _, t in documents if (t in held_out) == (split == "heldout")) for split in SPLITS
    }
    facts: dict[str, Any] = {
        "corpus_sha256": corpus.hexdigest(),
        "train_characters": characters["train"],
        "heldout_characters": characters["heldout"],
    }
    files: dict[str, int | None] = {}
    for split in SPLITS:
        with ShardWriter(job.folder, split, SOURCE_RECORD) as writer:
            for sample_id, text in documents:
                if (text in held_out) == (split == "heldout"):
                    writer.write({"sample_id": sample_id, "kind": TEXT, "text": text, "source": name})
        files |= writer.files
        facts[f"{split}_records"] = writer.rows
    _log.info("%d documents, %d characters", len(documents), sum(characters.values()))
    questions = make_cloze([t for _, t in documents if t in held_out], settings["cloze_questions"], settings["seed"])
    if settings["cloze_questions"] and not questions:
        raise SourceError(
            f"sources.{name}: the held-out text is too short for a cloze question; add text, or set cloze_questions: 0"
        )
    lines = [json.dumps(question, ensure_ascii=False) + "\n" for question in questions]
    write_text(job.folder / "benchmarks" / "cloze.jsonl", "".join(lines))
    files["benchmarks/cloze.jsonl"] = facts["cloze_questions"] = len(questions)
    files |= rejected.write(job.folder)
    return job.finish(files, rejected=rejected.counts, facts=facts)

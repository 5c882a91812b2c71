"""Packs of documents that a test writes token by token, in the files of a `pack/<mixture>` artefact."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unix_lib.artefacts.files import write_json
from unix_lib.pack.epochs import Documents
from unix_lib.pack.formats import Format
from unix_lib.pack.planner import PackPlan
from unix_lib.pack.sequences import FixedParts
from unix_lib.pack.store import ENDS, ends_file, images_file, pieces_file, text_file
from unix_lib.pack.writer import write_plan
from unix_lib.records.shards import SPLITS, Split
from unix_lib.tokenize.flags import TRAINED, with_flags
from unix_lib.tokenizers.vocabulary import Vocabulary

Document = tuple[Sequence[int], Sequence[bool]]  # ids, and which of them are targets


def write_packs(folder: Path, files: dict[str, list[list[Document]]], vocabulary: Vocabulary, length: int) -> None:
    """Write packs by file name, `epoch-000`, `epoch-001` ... and `heldout`, as lists of documents that nothing ends."""
    folder.mkdir(parents=True, exist_ok=True)
    nothing = [np.zeros(0, dtype=np.int32)]
    FixedParts({"eos": nothing, "newlines": nothing}, vocabulary, mask_instructions=True).write(folder)
    for split in SPLITS:
        of_split = {name: packs for name, packs in files.items() if (name == "heldout") == (split == "heldout")}
        _write_split(folder, split, of_split, vocabulary, length)


def _write_split(
    folder: Path, split: Split, files: dict[str, list[list[Document]]], vocabulary: Vocabulary, length: int
) -> None:
    first = 0
    own: list[np.ndarray] = []
    for name, packs in files.items():
        documents = [(number, document) for number, pack in enumerate(packs) for document in pack]
        for _, (ids, targets) in documents:
            own.append(with_flags(np.array(ids, dtype=np.int32), np.array(targets, dtype=np.uint8) * TRAINED))
        count = len(documents)
        pack_of = np.array([number for number, _ in documents], dtype=np.int64)
        chosen = Documents(
            np.arange(first, first + count),
            np.full(count, Format.TEXT, dtype=np.uint8),
            np.zeros(count, dtype=np.int64),
            np.zeros(count, dtype=np.uint64),
        )
        plan = PackPlan(pack_of, np.arange(count), len(packs))
        write_plan(folder / f"{name}.arrow", chosen, plan, np.arange(len(packs)), length, newlines=False)
        first += count
    ends = np.cumsum([len(tokens) for tokens in own], dtype=ENDS)
    np.stack([ends, np.zeros_like(ends)], axis=1).tofile(folder / ends_file(split))
    np.concatenate([np.zeros(0, dtype=np.int32), *own]).tofile(folder / text_file(split, 0))
    (folder / images_file(split)).touch()
    write_json(folder / pieces_file(split), {"text": [sum(map(len, own))], "codes": []})

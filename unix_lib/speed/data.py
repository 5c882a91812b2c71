"""Times what brings data in: samples to packs beside the tokenizer alone, plans, images prepared beside plain Pillow.

Beside them runs what anybody would write first: a loop over samples with a greedy cutter, a loop over files. Files from
outside are hashed beside `cat`.
"""

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from PIL import Image

from unix_lib.artefacts.manifest import read_manifest, write_manifest
from unix_lib.config.experiment import Experiment
from unix_lib.config.folders import INVENTORY
from unix_lib.images.files import square_rgb
from unix_lib.jobs.job import Job
from unix_lib.pack.planner import best_fit
from unix_lib.recipes.inventory import take_inventory
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import write_plan
from unix_lib.records.schema import RECORD
from unix_lib.records.shards import ROW_GROUP_ROWS, SPLITS, ShardWriter, iterate_rows, read_split
from unix_lib.sources.in_place.reading import decoded
from unix_lib.speed.measuring import Open, Times, take_turns
from unix_lib.speed.model import Row
from unix_lib.tokenizers.text import encode_texts, load_text_tokenizer

CPU = torch.device("cpu")
PACK_LENGTH = 20_480  # PAPER: packing length
TOKENIZER_BATCH = 1024  # texts
TEXT_COPIES = 10  # of each, so that what a job does once is small beside what it does for each text
DOCUMENT_CHARACTERS = 400
PHOTOGRAPH = (1600, 1200)  # pixels
SIDE = 512  # PAPER: of a prepared image
INVENTORY_FILES, INVENTORY_READERS = 16, 2


def text_rows(vocabulary: int, rounds: int) -> list[Row]:
    """Samples to packs, of texts as long as captions and short answers, with a byte-level BPE trained on them."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        plan = _planned(results, vocabulary)
        records, pack = _made(plan, results, plan.records("texts")[0]), plan.pack("texts")
        (tokens,) = plan.tokens("texts", "ours")
        tokenizer = load_text_tokenizer(_made(plan, results, plan.text_tokenizer()))
        _made(plan, results, plan.named("tokenizers", "vocabulary"))
        _repeat(records, TEXT_COPIES)
        texts = [row["text"] for row in iterate_rows(records, "train", ["text"])]

        def alone() -> None:
            for first in range(0, len(texts), TOKENIZER_BATCH):
                encode_texts(tokenizer, texts[first : first + TOKENIZER_BATCH])

        def packs() -> None:
            for artefact in (tokens, pack):
                shutil.rmtree(results / artefact, ignore_errors=True)
                _made(plan, results, artefact)

        def plain() -> None:
            filled: list[int] = []
            for text in texts:
                filled += tokenizer(text)["input_ids"]
                while len(filled) >= PACK_LENGTH:  # the sample at the border is cut
                    filled = filled[PACK_LENGTH:]

        contenders: dict[str, Open] = {
            "tokenizer alone": lambda: alone,
            "samples to packs": lambda: packs,
            "plain loop": lambda: plain,
        }
        times = take_turns(contenders, rounds, CPU, "samples to packs")
    characters = sum(map(len, texts)) // len(texts)
    described = f"{len(texts):,} texts of {characters} characters, {len(tokenizer):,} tokens"
    return list(_rows("samples/s", described, times, len(texts), "tokenizer alone"))


def planner_rows(documents: int, rounds: int) -> list[Row]:
    """Plans of packs over log-normal lengths."""
    lengths = np.random.default_rng(0).lognormal(5.5, 1.2, documents).astype(np.int64).clip(1, PACK_LENGTH)
    times = take_turns(
        {
            "best fit": lambda: partial(best_fit, lengths, PACK_LENGTH),
            "greedy cutter": lambda: partial(_greedy, lengths),
        },
        rounds,
        CPU,
        "planner",
    )
    plan = best_fit(lengths, PACK_LENGTH)
    fill = lengths.sum() / (plan.num_packs * PACK_LENGTH)
    described = f"{documents:,} lengths, {fill:.2%} full"
    return list(_rows("documents planned/s", described, times, documents, "greedy cutter"))


def image_rows(photographs: int, rounds: int) -> list[Row]:
    """Photographs as JPEG, decoded, resized and cropped by one worker and by two."""
    data = [_photograph(seed) for seed in range(photographs)]

    def prepared(threads: int, *, draft: bool = False) -> None:
        for _ in decoded(data, lambda one: square_rgb(io.BytesIO(one), SIDE, draft=draft), threads):
            pass

    def plain() -> None:
        for one in data:
            _plain(one)

    with ProcessPoolExecutor(2) as pool:

        def processes() -> None:
            list(pool.map(_plain, data, chunksize=max(1, len(data) // 8)))

        contenders: dict[str, Open] = {
            "Pillow": lambda: plain,
            "prepared": lambda: partial(prepared, 1),
            "prepared, draft": lambda: partial(prepared, 1, draft=True),
            "Pillow, 2 processes": lambda: processes,
            "prepared, 2 threads": lambda: partial(prepared, 2),
        }
        times = take_turns(contenders, rounds, CPU, "images")
    width, height = PHOTOGRAPH
    return list(_rows("images/s", f"{len(data)} JPEGs of {width} x {height} to {SIDE}", times, len(data), "Pillow"))


def inventory_rows(megabytes: int, rounds: int) -> list[Row]:
    """Files from outside that are in no cache, hashed by two readers, beside as many processes of `cat`."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.jsonl" for number in range(INVENTORY_FILES)]
        for number, path in enumerate(files):
            path.write_bytes(np.random.default_rng(number).bytes((megabytes << 20) // INVENTORY_FILES))
            os.utime(path, (0, 0))  # what was written just now is not kept
        values = {"experiment": "benchmark", "sources": {"rows": {"kind": "jsonl", "files": ["*.jsonl"]}}}
        experiment = Experiment.model_validate(values)

        def inventory() -> None:
            _out_of_the_cache(files)
            (Path(folder) / INVENTORY).unlink(missing_ok=True)
            taken = take_inventory(experiment, Path(folder), INVENTORY_READERS)
            assert taken.read_files == INVENTORY_FILES

        def cat() -> None:
            _out_of_the_cache(files)
            parts = (files[reader::INVENTORY_READERS] for reader in range(INVENTORY_READERS))
            for reading in [subprocess.Popen(["cat", *part], stdout=subprocess.DEVNULL) for part in parts]:
                assert reading.wait() == 0

        content = files[0].read_bytes()

        def in_memory() -> None:
            with ThreadPoolExecutor(INVENTORY_READERS) as pool:
                list(pool.map(lambda _: hashlib.sha256(content).digest(), files))

        contenders: dict[str, Open] = {
            "cat": lambda: cat,
            "SHA-256 in memory": lambda: in_memory,
            "inventory": lambda: inventory,
        }
        times = take_turns(contenders, rounds, CPU, "inventory")
    return list(_rows("MB/s", f"{megabytes:,} MB in {INVENTORY_FILES} files", times, megabytes, "cat"))


def _out_of_the_cache(files: list[Path]) -> None:
    for path in files:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _rows(measure: str, size: str, times: dict[str, Times], amount: float, base: str) -> Iterator[Row]:
    for contender, of_contender in times.items():
        yield Row(measure, size, contender, *of_contender.speeds(amount), relative=of_contender.over(times[base]))


def _greedy(lengths: np.ndarray) -> int:
    """Packs that are filled in the order of the documents, each cut where the pack ends."""
    packs = filled = 0
    for length in lengths.tolist():
        filled += length
        while filled >= PACK_LENGTH:
            packs, filled = packs + 1, filled - PACK_LENGTH
    return packs


def _plain(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        rgb = image.convert("RGB")
        scale = SIDE / min(rgb.size)
        resized = rgb.resize((round(rgb.width * scale), round(rgb.height * scale)), Image.Resampling.LANCZOS)
        left, top = (resized.width - SIDE) // 2, (resized.height - SIDE) // 2
        return int(np.asarray(resized.crop((left, top, left + SIDE, top + SIDE)))[0, 0, 0])


def _photograph(seed: int) -> bytes:
    """A JPEG of smooth noise, which compresses about as a photograph does."""
    small = np.random.default_rng(seed).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize(PHOTOGRAPH, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _planned(results: Path, vocabulary: int) -> Plan:
    """An experiment that packs the reference of Python, in short documents."""
    values: dict[str, Any] = {
        "experiment": "benchmark",
        "sources": {"texts": {"kind": "text", "document_characters": DOCUMENT_CHARACTERS, "cloze_questions": 0}},
        "held_out": {"share": 0.001},
        "tokenizers": {
            "text": {"kind": "train_bpe", "vocabulary_size": vocabulary, "sources": ["texts"]},
            "image": {"kind": "pretrained", "path": "none", "shape": {}},  # is not made
        },
        "pack": {"length": PACK_LENGTH, "mixtures": {"texts": {"parts": [{"source": "texts"}]}}},
    }
    plan = resolve(Experiment.model_validate(values), results.parent)
    write_plan(plan, results)
    return plan


def _repeat(records: Path, times: int) -> None:
    """Have an artefact's training records so many times, under other ids."""
    of_split = {split: read_split(records, split) for split in SPLITS}
    train = of_split["train"]
    ids = [pc.binary_join_element_wise(train["sample_id"], f"{copy}", "/") for copy in range(times)]
    of_split["train"] = pa.concat_tables([train.set_column(0, train.schema.field(0), each) for each in ids])
    files: dict[str, int | None] = {}
    for split, table in of_split.items():
        with ShardWriter(records, split, RECORD) as writer:
            for rows in table.to_batches(max_chunksize=ROW_GROUP_ROWS):
                writer.write_table(pa.Table.from_batches([rows]))
        files |= writer.files
    write_manifest(records, read_manifest(records).recipe, files)


def _made(plan: Plan, results: Path, artefact: str) -> Path:
    """Make an artefact; its folder."""
    planned = plan.jobs[artefact]
    job = Job[Any, Any].of(planned.recipe, results, planned.execution)
    job.make()
    return job.folder

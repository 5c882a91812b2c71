"""Sources that are streamed from a hub of the test's own: the rows that a copy gives, or an error."""

import gzip
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfFileSystem, hf_file_system

from tests.fetch.small_hub import COMMIT, SmallHub, serving
from tests.sources.making import Made, make, source_jobs
from tests.sources.row_files import config_of
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.config import hub_files
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.folders import matching
from unix_lib.config.hub_files import StreamError, hub_snapshot, is_named
from unix_lib.config.outside import Outside, identified
from unix_lib.config.row_files import PlannedRows, RowFiles
from unix_lib.config.sources import HeldOut
from unix_lib.records.shards import read_split
from unix_lib.sources.in_place.reading import Images

TEXTS = [f"Text {number} is long enough to be one of its own." for number in range(40)]
JSONL = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
TEXT_FILES = {"plain.txt": b"\n\n".join(text.encode() for text in TEXTS), "lines.jsonl": JSONL}
TEXT_FILES |= {"packed.jsonl.gz": gzip.compress(JSONL), "array.json": json.dumps([{"text": t} for t in TEXTS]).encode()}
CHATS = [{"instruction": "Count.", "input": str(n), "output": f"{n + 1}"} for n in range(9)]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=7)
    return buffer.getvalue()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """A hub that this process streams from, which is not offline; a copy here lies below `tmp_path`."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    quick = partial(hf_file_system.http_backoff, max_retries=2, base_wait_time=0, max_wait_time=0)
    monkeypatch.setattr(hf_file_system, "http_backoff", quick)
    with serving(SmallHub({})) as served:
        monkeypatch.setattr(
            hub_files, "filesystem", lambda: HfFileSystem(endpoint=served.address, skip_instance_cache=True)
        )
        yield served


def streamed(hub: SmallHub, files: dict[str, bytes], **settings: Any) -> dict[str, Any]:
    """Serve files; what a config with its lock says of the source."""
    hub.repositories["datasets/owner/rows"] = files
    listed = {name: len(content) for name, content in files.items()}
    of_hub = {"repository": "owner/rows", "revision": COMMIT, "streaming": True, "listed": listed}
    return {"files": ["**"]} | settings | of_hub


def copied(settings: dict[str, Any], hub: SmallHub) -> dict[str, Any]:
    """The same source of a copy in the hub's cache."""
    for name, content in hub.repositories["datasets/owner/rows"].items():
        path = hub_snapshot("owner/rows", COMMIT) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: value for name, value in settings.items() if name not in ("streaming", "listed")}


def rows(made: dict[str, Made]) -> list[dict[str, Any]]:
    return [row for split in ("train", "heldout") for row in read_split(made["records"].folder, split).to_pylist()]


SOURCES = {
    "text": (TEXT_FILES | {"rows.parquet": parquet([{"text": text} for text in TEXTS])}, {"cloze_questions": 0}),
    "conversations": ({"a/chats.parquet": parquet(CHATS), "b/chats.jsonl": json.dumps(CHATS[0]).encode()}, {}),
}


@pytest.mark.parametrize("kind", [*SOURCES, "finevision", "pairs.tsv", "webdataset"])
def test_rows_are_those_of_a_copy(kind: str, hub: SmallHub, tmp_path: Path) -> None:
    if kind in SOURCES:
        files, settings = SOURCES[kind]
        settings = settings | {"kind": kind}
    else:
        (tmp_path / "own").mkdir()
        settings = config_of(kind, tmp_path / "own", 12)
        path = Path(settings.pop("files")[0])
        files = {f"deep/{path.name}": path.read_bytes()}
    settings = streamed(hub, files, **settings)
    one = make(tmp_path / "one", "mine", held_out=0.3, **settings)
    assert all(hub.asked[name] for name in files)  # nothing lies here
    other = make(tmp_path / "other", "mine", held_out=0.3, **copied(settings, hub))
    assert rows(one) == rows(other) and len(rows(one)) >= 9
    assert one["records"].manifest.facts == other["records"].manifest.facts
    if "images" in one:
        chunks = [[Images(made["images"].folder, 8).chunks(5)] for made in (one, other)]
        first, second = ([image for chunk in of[0] for image in chunk.read_all()] for of in chunks)
        assert first == second and len(first) == 12


@pytest.mark.parametrize("name", ["lines.jsonl", "packed.jsonl.gz", "rows.parquet", "plain.txt"])
def test_a_connection_that_breaks_is_tried_again_or_an_error_but_never_fewer_rows(
    name: str, hub: SmallHub, tmp_path: Path
) -> None:
    files = {name: SOURCES["text"][0][name]}
    settings = streamed(hub, files, kind="text", cloze_questions=0)
    whole = make(tmp_path / "whole", "mine", **settings)
    before = hub.asked[name]
    hub.cut[name] = 2
    assert rows(make(tmp_path / "again", "mine", **settings)) == rows(whole)
    assert hub.cut[name] < 0 and hub.asked[name] >= 2 * before
    hub.cut[name] = 10**6
    job = source_jobs(tmp_path / "lost", "mine", **settings)["records"]
    with pytest.raises(
        StreamError, match=rf"datasets/owner/rows@{COMMIT}/{name}: can't be read from the hub .*run again"
    ):
        job.make()
    assert not (job.folder / MANIFEST).exists()


def test_a_file_that_is_shorter_than_the_lock_says_is_an_error(hub: SmallHub, tmp_path: Path) -> None:
    settings = streamed(hub, {"lines.jsonl": JSONL}, kind="text", cloze_questions=0)
    hub.repositories["datasets/owner/rows"]["lines.jsonl"] = JSONL[:-9]
    with pytest.raises(StreamError, match=r"bytes came|can't be read"):
        source_jobs(tmp_path / "short", "mine", **settings)["records"].make()


def test_an_offline_job_refuses_before_it_starts(
    hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = streamed(hub, {"lines.jsonl": JSONL}, kind="text", cloze_questions=0)
    job = source_jobs(tmp_path / "offline", "mine", **settings)["records"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        StreamError, match=r"sources\.mine is streamed .*offline \(HF_HUB_OFFLINE\); run where there is a"
    ):
        job.make()
    assert not hub.asked


def test_parts_are_cut_by_the_sizes_in_the_lock(tmp_path: Path) -> None:
    listed = {f"{number}.jsonl": 600_000 for number in range(5)} | {"other.csv": 1}
    settings = {"files": ["*.jsonl"], "repository": "owner/rows", "revision": COMMIT, "streaming": True}
    files = RowFiles(**settings, listed=listed, shard_megabytes=1)
    outside = Outside(tmp_path, FileHashes(None))
    assert [[Path(path).name for path in part] for part in files.file_parts(outside)] == [
        ["0.jsonl", "1.jsonl"],
        ["2.jsonl", "3.jsonl"],
        ["4.jsonl"],
    ]
    planned = PlannedRows(**settings, listed=listed, shard_megabytes=1, source="mine", shard=1, held_out=HeldOut())
    of_part = identified(planned, outside)
    assert of_part.listed == {"2.jsonl": 600_000, "3.jsonl": 600_000}  # what its recipe says
    assert of_part.identity is not None and of_part.identity.bytes == 1_200_000
    again = Outside(tmp_path, FileHashes(None))
    assert of_part.identify(again) == of_part.identity and identified(of_part, again) == of_part


def test_names_fit_patterns_as_files_here_do(tmp_path: Path) -> None:
    names = ["a.csv", "b.csv", "deep/a.csv", "deep/er/a.csv", "deep/[x].csv", "deep/ab.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for pattern in (
        "*.csv",
        "**",
        "**/a.csv",
        "deep/?.csv",
        "deep/**/*.csv",
        "*/[ab].csv",
        "deep/[[]x].csv",
        "de*/*/a.csv",
    ):
        found = {path.relative_to(tmp_path).as_posix() for path in matching(pattern, tmp_path)}
        assert {name for name in names if is_named(name, pattern)} == found, pattern

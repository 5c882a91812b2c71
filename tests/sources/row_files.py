"""Small files of rows in the layouts that users bring, with bytes as the real sets have them."""

import base64
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.images.pictures import noise

SIDE = 16  # pixels, and a few more to crop


def picture(index: int) -> bytes:
    """A JPEG, PNG or WebP that is not quite square."""
    buffer = io.BytesIO()
    noise(SIDE + index % 5, SIDE, index).save(buffer, format=("JPEG", "PNG", "WEBP")[index % 3])
    return buffer.getvalue()


@dataclass(frozen=True)
class Layout:
    """One layout: how a file of `count` rows is written, and what a config says of it."""

    kind: str
    file: str
    write: Callable[[Path, int], None]
    settings: dict[str, Any]
    rows_with_image: Callable[[int], bool] = lambda index: True


def _finevision(path: Path, count: int) -> None:
    rows = [
        {
            "images": [{"bytes": picture(index), "path": None}],
            "texts": [{"user": f"What is {index}?", "assistant": f"Noise {index}."}],
            "source": "noise",
            "relevance_min": index % 5,
        }
        for index in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)


def _pairs_tsv(path: Path, count: int) -> None:
    lines = ["key\timage\tcaption"]
    for index in range(count):
        captions = json.dumps([f"noise {index}", f"a longer caption of noise {index}"])
        lines.append(f"{index}\t{base64.b64encode(picture(index)).decode()}\t{captions}")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _pairs_parquet(path: Path, count: int) -> None:
    table = {"picture": [picture(index) for index in range(count)], "text": [f"噪声 {i}" for i in range(count)]}
    pq.write_table(pa.table(table), path, row_group_size=7)


def _tar(path: Path, count: int) -> None:
    with tarfile.open(path, "w") as tar:
        for index in range(count):
            meta = json.dumps({"caption": f"noise {index}", "similarity": index / count}).encode()
            for ending, data in (("jpg", picture(index)), ("json", meta), ("txt", f"Rauschen {index}".encode())):
                member = tarfile.TarInfo(f"{index:06d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def published(path: Path, count: int, codes_per_image: int = 16) -> None:
    rows = []
    for index in range(count):
        data_type = ("t2i", "i2t_multi", "text")[index % 3]
        text = f"q {index}^^^pair_split^^^a^^^turn_split^^^r^^^pair_split^^^b" if index % 3 == 1 else f"text {index}"
        codes = "no" if index % 3 == 2 else json.dumps([(index >> place) % 2 for place in range(codes_per_image)])
        rows.append({"data_type": data_type, "text": text, "length": len(text), "vqcode_512": codes, "width": "no"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _llava(path: Path, count: int) -> None:
    folder = path.parent / "pictures"
    folder.mkdir(exist_ok=True)
    rows = []
    for index in range(count):
        (folder / f"{index}.jpg").write_bytes(picture(index))
        turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": f"noise {index}"}]
        rows.append({"id": str(index), "image": f"{index}.jpg", "conversations": turns})
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")


LAYOUTS = {
    "finevision": Layout("finevision", "train-00000-of-00001.parquet", _finevision, {}),
    "pairs.tsv": Layout("image_pairs", "pairs.tsv", _pairs_tsv, {}),
    "pairs.parquet": Layout(
        "image_pairs", "pairs.parquet", _pairs_parquet, {"image_column": "picture", "caption_column": "text"}
    ),
    "webdataset": Layout("webdataset", "000.tar", _tar, {}),
    "published": Layout("jsonl", "data.jsonl", published, {}, lambda index: index % 3 != 2),
    "llava": Layout("jsonl", "llava.json", _llava, {"image_folder": "pictures"}),
}


def config_of(name: str, folder: Path, count: int) -> dict[str, Any]:
    """Write a layout's file of `count` rows into a folder; what a config says of the source."""
    layout = LAYOUTS[name]
    layout.write(folder / layout.file, count)
    settings = layout.settings | {"kind": layout.kind, "files": [str(folder / layout.file)]}
    if "image_folder" in settings:
        settings["image_folder"] = str(folder / settings["image_folder"])
    return settings

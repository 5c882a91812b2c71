"""The kind of source `jsonl`: the layout that was published with the paper, and LLaVA's, also as one JSON array.

Published: `{"data_type": "t2i", "text": "a dog", "vqcode_512": "[17, 4, ...]"}`; `data_type` text, image_text, t2i,
i2t or i2t_multi; turns in `conversations`, in the fields `instruction`, `input`, `output`, or in `text`, question and
answer with `^^^pair_split^^^` between them, turns with `^^^turn_split^^^`. "no" stands for nothing.
LLaVA's: `{"image": "coco/1.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, ...]}`.
"""

from pathlib import Path
from typing import Literal

from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.strict import key
from unix_lib.sources.in_place.settings import ImageRowSource, InFolder, PlannedImages, PlannedRecords, kind_in_place


class RowImage(InFolder):
    """Where a row's image or its codes are."""

    image_column: str = key("column with the image's name below image_folder, or several", "image")
    code_column: str = key("column with an image's codes, a list or a JSON text of one", "vqcode_512")


class PlannedLineImages(RowImage, PlannedImages):
    """The job of one part's images."""

    reader_at = "unix_lib.sources.jsonl.rows:READER"

    def identify(self, outside: Outside) -> FilesIdentity:
        return self.folder_identity(outside, super().identify(outside))


class PlannedLineRecords(PlannedRecords):
    """The job of one part's records."""

    reader_at = "unix_lib.sources.jsonl.rows:READER"


class JSONLinesSource(RowImage, ImageRowSource):
    """Texts, captions and conversations in the layout published with the paper, or in LLaVA's."""

    kind: Literal["jsonl"]

    def needs(self, name: str) -> list[Need]:
        folder = (
            [Need(f"source {name}: {self.image_folder}", local=Path(self.image_folder))] if self.image_folder else []
        )
        return super().needs(name) + folder


KIND = kind_in_place(JSONLinesSource, PlannedLineImages, PlannedLineRecords)

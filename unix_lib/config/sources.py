"""Config of the `sources` stage: where records come from."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from unix_lib.config.strict import StrictModel, key

# PAPER: images of a larger aspect ratio are dropped.
MAX_ASPECT_RATIO = 2.5
CLOZE_BLOCK = 4  # cloze questions are made in blocks of this many


class ShapesSource(StrictModel):
    """Synthetic scenes with ground truth: 1-3 objects with colour, shape, size and position."""

    kind: Literal["shapes"]
    image_size: int = key("side of an image, pixels", 32, ge=16)
    train_scenes: int = key("scenes in the training split", 4000, ge=1)
    heldout_scenes: int = key("scenes in the held-out split; each shows a combination never trained", 300, ge=1)
    placement: Literal["cells", "free"] = key("cells: 2x2 cells with jitter; free: anywhere, not overlapping", "cells")
    jitter: int = key("largest shift of an object from its cell's centre, pixels (placement: cells)", 1, ge=0)
    colors: list[str] = key("colours in use, out of GenEval's", ["red", "green", "blue", "yellow"], min_length=2)
    shapes: list[str] = key("shapes in use", ["circle", "square", "triangle"], min_length=2)
    heldout_share: float = key("share of the combinations of each kind that is never trained", 0.15, gt=0, lt=0.5)
    questions_per_scene: int = key("question-answer turns in a scene's conversation record", 2, ge=0)
    conversation_share: float = key("share of the scenes that come as a conversation record too", 0.5, ge=0, le=1)
    prompts_per_task: int = key("held-out GenEval-style prompts per task", 16, ge=1)
    questions_per_benchmark: int = key("held-out questions per question benchmark", 100, ge=10)
    seed: int = key("seed of the scenes and of the held-out combinations", 218)


class DigitsSource(StrictModel):
    """The 1,797 scans of handwritten digits that scikit-learn ships: real images."""

    kind: Literal["digits"]
    image_size: int = key("side of an image after enlargement, pixels", 32, ge=8)
    heldout_share: float = key("share of the images held out", 0.1, gt=0, lt=1)
    seed: int = key("seed of the held-out split", 218)


class ImageFolderSource(StrictModel):
    """A user's own images with captions in a JSONL or CSV file (columns `image`, `caption`)."""

    kind: Literal["image_folder"]
    folder: str = key("folder of the images, relative to the project's root or absolute")
    captions: str = key("JSONL or CSV file with one `image` (path below the folder) and `caption` per row")
    image_size: int = key(
        "images are resized (short side, Lanczos) and centre-cropped to this side, pixels", 512, ge=16
    )
    heldout_share: float = key("share of the images held out", 0.05, gt=0, lt=1)
    max_pixels: int = key("larger images are set aside unread, pixels by the header", 50_000_000, ge=1)
    max_aspect_ratio: float = key("images of a larger aspect ratio are set aside", MAX_ASPECT_RATIO, ge=1)
    seed: int = key("seed of the held-out split", 218)


class TextSource(StrictModel):
    """Plain text: the reference topics and docstrings of the running CPython, or a user's files."""

    kind: Literal["text"]
    corpus: Literal["python-reference", "files"] = key(
        "python-reference: pydoc topics and docstrings", "python-reference"
    )
    files: list[str] = key("glob patterns of UTF-8 text files (corpus: files)", [])
    document_characters: int = key("longest document; longer texts are cut at paragraph borders", 1200, ge=100)
    max_characters: int | None = key("stop after this many characters in all; null takes everything", None)
    heldout_share: float = key("share of the documents held out", 0.08, gt=0, lt=1)
    cloze_questions: int = key(
        "four-choice cloze questions made from the held-out documents, in blocks of four", 200, ge=0
    )
    seed: int = key("seed of the held-out split and of the cloze choices", 218)

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


SourceConfig = Annotated[ShapesSource | DigitsSource | ImageFolderSource | TextSource, Field(discriminator="kind")]

"""Joins text ids and image codes into the vocabulary of the model.

    0 ........ text_size ........ image_offset ........ size
      text ids        unused rows          image codes

Text ids keep the places that the text tokenizer gave them. The text part is padded (a pretrained model has
more embedding rows than its tokenizer has ids), and image code `c` is id `image_offset + c` behind the
padding, so that no code shares a row with a reserved text id. Where an image has separators, `<|vision_pad|>` follows
every so many of its codes. Importing this imports no torch.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.jobs.job import Job

VOCABULARY_FILE = "vocabulary.json"
END_OF_TEXT, VISION_START, VISION_END = "<|endoftext|>", "<|vision_start|>", "<|vision_end|>"
SEPARATOR = "<|vision_pad|>"


class VocabularyError(UserError):
    """An id or code outside its range, or a vocabulary that can't be built or read."""


@dataclass(frozen=True)
class Vocabulary:
    """Every id and range. Ids are int32 or int64 arrays of any shape in the methods below."""

    text_size: int  # ids of the text tokenizer
    padded_text_size: int  # text rows of the embedding
    image_offset: int  # id of image code 0; equals padded_text_size
    codebook_size: int
    codes_per_image: int
    size: int  # rows of the embedding
    eos_id: int
    pad_id: int
    vision_start_id: int
    vision_end_id: int
    separator_id: int | None = None
    separator_every: int | None = None  # codes between two separators; one ends the image

    def __post_init__(self) -> None:
        if self.padded_text_size < self.text_size:
            raise VocabularyError(
                f"tokenizers.padded_text_vocabulary {self.padded_text_size} is smaller than the text tokenizer's "
                f"{self.text_size} ids; set it to the embedding rows of the pretrained model, or to null"
            )
        if self.image_offset != self.padded_text_size or self.size != self.image_offset + self.codebook_size:
            raise VocabularyError(
                f"image codes {self.image_offset}..{self.size} do not follow the padded text vocabulary of "
                f"{self.padded_text_size}; make the vocabulary again"
            )

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read `vocabulary.json`, or the one in a folder.

        Raises:
            VocabularyError: missing, unreadable, or its ranges contradict each other.
        """
        file = path / VOCABULARY_FILE if path.is_dir() else path
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise VocabularyError(f"{file}: no vocabulary here; run the tokenizers stage") from None
        except (ValueError, TypeError) as error:
            raise VocabularyError(f"{file}: unreadable vocabulary ({error}); delete it and run again") from None

    def write(self, folder: Path) -> Path:
        """Write `vocabulary.json` into a folder."""
        write_json(folder / VOCABULARY_FILE, self.as_dict())
        return folder / VOCABULARY_FILE

    def as_dict(self) -> dict[str, int]:
        """Plain values, without what there is not."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def image_ids(self, codes: np.ndarray) -> np.ndarray:
        """Ids (int32) of image codes.

        Raises:
            VocabularyError: a code is not in 0..codebook_size - 1.
        """
        codes = np.asarray(codes, dtype=np.int64)
        outside = (codes < 0) | (codes >= self.codebook_size)
        if outside.any():
            raise VocabularyError(f"image code {codes[outside][0]} is outside 0..{self.codebook_size - 1}")
        return (codes + self.image_offset).astype(np.int32)

    def image_tokens(self, codes: np.ndarray) -> np.ndarray:
        """Ids (int32) that stand for an image between its markers: its codes (n,) with their separators.

        Raises:
            VocabularyError: a code is not in 0..codebook_size - 1.
        """
        ids = self.image_ids(codes)
        if self.separator_every is None:
            return ids
        rows = ids.reshape(-1, self.separator_every)
        return np.insert(rows, self.separator_every, np.int32(self.separator_id or 0), axis=1).reshape(-1)

    @property
    def image_length(self) -> int:
        """How many tokens an image is between its markers, separators included."""
        every = self.separator_every
        return self.codes_per_image + (0 if every is None else self.codes_per_image // every)

    def is_image(self, ids: np.ndarray) -> np.ndarray:
        """Whether each id is an image code; bool, same shape."""
        ids = np.asarray(ids)
        return (ids >= self.image_offset) & (ids < self.size)

    def is_vision(self, ids: np.ndarray) -> np.ndarray:
        """Whether each token takes the vision path: image codes, separators, <|vision_start|>; bool, same shape."""
        vision: np.ndarray = self.is_image(ids) | (np.asarray(ids) == self.vision_start_id)
        return vision if self.separator_id is None else vision | (np.asarray(ids) == self.separator_id)

    def check(self, ids: np.ndarray) -> None:
        """Refuse ids that name no token.

        Raises:
            VocabularyError: names the first bad id and the range it should be in.
        """
        ids = np.asarray(ids)
        outside = ~(self.is_image(ids) | ((ids >= 0) & (ids < self.text_size)))
        if outside.any():
            raise VocabularyError(
                f"id {ids[outside][0]} names no token: text ids are 0..{self.text_size - 1}, image codes "
                f"{self.image_offset}..{self.size - 1}"
            )


def build_vocabulary(text_ids: dict[str, int], settings: VocabularySettings) -> Vocabulary:
    """Lay image codes behind a tokenizer's ids: its whole vocabulary, added tokens included, token -> id.

    Raises:
        VocabularyError: the tokenizer lacks a special token, or the padded size is too small.
    """
    every = settings.image_separator_every
    needed = [END_OF_TEXT, VISION_START, VISION_END] + ([] if every is None else [SEPARATOR])
    missing = [token for token in needed if token not in text_ids]
    if missing:
        raise VocabularyError(
            f"the text tokenizer lacks {missing[0]}; take one with Qwen2.5's special tokens, or tokenizers.text.kind: "
            "train_bpe"
        )
    text_size = max(text_ids.values()) + 1
    padded = settings.padded_text_vocabulary
    if padded is None:
        padded = -(-text_size // settings.multiple) * settings.multiple
    return Vocabulary(
        text_size=text_size,
        padded_text_size=padded,
        image_offset=padded,
        codebook_size=settings.codebook_size,
        codes_per_image=settings.codes_per_image,
        size=padded + settings.codebook_size,
        eos_id=text_ids[END_OF_TEXT],
        pad_id=text_ids[END_OF_TEXT],
        vision_start_id=text_ids[VISION_START],
        vision_end_id=text_ids[VISION_END],
        separator_id=None if every is None else text_ids[SEPARATOR],
        separator_every=every,
    )


def make_vocabulary(job: Job[VocabularySettings, Execution]) -> Manifest:
    """Make `tokenizers/vocabulary` from the text tokenizer and the image tokenizer's shape."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(job.input("text_tokenizer") / "tokenizer" / "tokenizer.json"))
    vocabulary = build_vocabulary(tokenizer.get_vocab(with_added_tokens=True), job.settings)
    vocabulary.write(job.folder)
    return job.finish({VOCABULARY_FILE: None}, facts=vocabulary.as_dict())

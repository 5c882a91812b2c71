"""Makes and loads the text tokenizer: a byte-level BPE trained on the experiment's own text, or a pretrained one.

On disk it is a folder `tokenizer/` that `AutoTokenizer.from_pretrained` reads as a fast tokenizer. Both kinds carry
Qwen2.5's special tokens, and both end a document with <|endoftext|>. Importing this imports no torch.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.records.phrases import CAPTION_PHRASE, INSTRUCTIONS, UNCONDITIONAL
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, TEXT
from unix_lib.records.shards import iterate_rows
from unix_lib.tokenizers.pretrained_text import PlannedPretrainedText
from unix_lib.tokenizers.train_bpe import BPETraining
from unix_lib.tokenizers.vocabulary import END_OF_TEXT, VISION_END, VISION_START

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
FOLDER = "tokenizer"

# Qwen2.5's special tokens in the order of their ids.
SPECIAL_TOKENS = (
    END_OF_TEXT,
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    VISION_START,
    VISION_END,
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# Qwen2.5's pre-tokenization: contractions, words with the character before them, single digits, punctuation,
# line ends, spaces.
PRE_TOKENIZATION = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TextTokenizerError(UserError):
    """A text tokenizer that can't be found, trained or used."""


def load_text_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Load the tokenizer of a `tokenizers/text` artefact, or of any folder with `tokenizer.json`.

    Raises:
        TextTokenizerError: the folder holds no tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    if not (folder / "tokenizer.json").is_file():
        raise TextTokenizerError(f"{folder}: no tokenizer.json here; run the tokenizers stage")
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    return tokenizer


def encode_texts(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> list[list[int]]:
    """Ids of plain texts, nothing added. A special token spelled out in a text is text, not that token."""
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    finally:
        backend.encode_special_tokens = before


def training_texts(folders: Sequence[Path]) -> Iterator[str]:
    """The text of artefacts' training splits as packing will tokenize it, fixed phrases included."""
    captions = count()
    for folder in folders:
        for record in iterate_rows(folder, "train", columns=["kind", "text", "messages"]):
            if record["kind"] == TEXT:
                yield record["text"] or ""
            elif record["kind"] == IMAGE_TEXT and record["text"] is None:
                yield UNCONDITIONAL
            elif record["kind"] == IMAGE_TEXT:
                yield record["text"].strip()
                yield f" {INSTRUCTIONS[next(captions) % len(INSTRUCTIONS)]}"
                yield CAPTION_PHRASE
                yield UNCONDITIONAL
            elif record["kind"] == CONVERSATION:
                for message in record["messages"] or []:
                    yield f"{(message['content'] or '').strip()}\n"


def train_byte_level_bpe(texts: Iterator[str], vocabulary_size: int) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE with Qwen2.5's normalization, pre-tokenization and special tokens.

    `vocabulary_size` includes the byte alphabet; the special tokens come on top, behind it.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZATION), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = BpeTrainer(
        vocab_size=vocabulary_size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        special_tokens=[],
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)


def load_pretrained(path: str, revision: str) -> "PreTrainedTokenizerFast":
    """Load a tokenizer from a local folder or, already fetched, from the hub's cache.

    Raises:
        TextTokenizerError: not found, not a fast tokenizer, or without the vision tokens.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, local_files_only=True)
    except (OSError, ValueError) as error:
        raise TextTokenizerError(
            f"tokenizers.text.path {path}: no tokenizer here (revision {revision}; {str(error).splitlines()[0]}); give "
            "a local folder, or run `unix-lib fetch` where there is a network"
        ) from None
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise TextTokenizerError(f"tokenizers.text.path {path}: not a fast tokenizer; take one with tokenizer.json")
    known = tokenizer.get_vocab()
    for token in (END_OF_TEXT, VISION_START, VISION_END):
        if token not in known:
            raise TextTokenizerError(
                f"tokenizers.text.path {path}: lacks {token}; take a tokenizer with Qwen2.5's special tokens"
            )
    return tokenizer


def make_trained_tokenizer(job: Job[BPETraining, Execution]) -> Manifest:
    """Make `tokenizers/text`: a BPE trained on the inputs in role `records`.

    Raises:
        TextTokenizerError: there is no text in them.
    """
    texts = size = told = 0

    def counted() -> Iterator[str]:
        nonlocal texts, size, told
        for text in training_texts(job.inputs("records")):
            texts, size, told = texts + 1, size + len(text.encode()), told + (text not in ("", UNCONDITIONAL))
            yield text

    tokenizer = train_byte_level_bpe(counted(), job.settings.vocabulary_size)
    if not told:
        raise TextTokenizerError("tokenizers.text.sources: their training splits hold no text; add a source")
    _log.info("trained %d tokens on %d texts, %.1f MB", len(tokenizer), texts, size / 1e6)
    return _finish(job, tokenizer, {"texts": texts, "text_bytes": size})


def make_pretrained_tokenizer(job: Job[PlannedPretrainedText, Execution]) -> Manifest:
    """Make `tokenizers/text` of a pretrained tokenizer.

    Raises:
        TextTokenizerError: not found, or not usable here.
    """
    settings = job.settings
    return _finish(job, load_pretrained(settings.path, settings.revision), {})


def _finish(job: Job[Any, Execution], tokenizer: "PreTrainedTokenizerFast", facts: dict[str, int]) -> Manifest:
    tokenizer.eos_token = tokenizer.pad_token = END_OF_TEXT  # instruct models name another token
    folder = job.folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # left by a job that was killed
    tokenizer.save_pretrained(folder)
    files = {str(path.relative_to(job.folder)): None for path in sorted(folder.rglob("*")) if path.is_file()}
    return job.finish(dict(files), facts=facts | {"tokens": len(tokenizer)})

"""The kind of text tokenizer `train_bpe`: a byte-level BPE trained on the experiment's own text."""

from typing import Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.tokenizers import TextTokenizerSettings, TokenizerKind


class BPETraining(StrictModel):
    """What the tokenizer depends on beside its text."""

    vocabulary_size: int = key("tokens, byte alphabet included, special tokens not", 2048, ge=300, le=2**24)


class TrainedTextTokenizer(BPETraining, TextTokenizerSettings):
    """A byte-level BPE with Qwen's special tokens, trained on this experiment's text."""

    kind: Literal["train_bpe"]
    sources: list[str] = key("sources whose training text it learns from", min_length=1)

    def trained_on(self) -> list[str]:
        return self.sources

    def text_rows(self) -> int:
        return self.vocabulary_size


KIND = TokenizerKind(
    settings=TrainedTextTokenizer,
    job=JobKind(BPETraining, "unix_lib.tokenizers.text:make_trained_tokenizer", 1),
)

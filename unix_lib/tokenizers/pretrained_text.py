"""The kind of text tokenizer `pretrained`: a Hugging Face tokenizer from a local folder or the hub."""

from typing import Literal

from unix_lib.config.hub import FetchedRepository, OfHub, model_of_hub
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need, model_need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import key
from unix_lib.config.tokenizers import TextTokenizerSettings, TokenizerKind


class PretrainedText(OfHub):
    """Where the tokenizer is."""

    path: str = key("local folder or hub id", min_length=1)
    revision: str = key("its commit on the hub; of a branch or tag the lock has it", "main")

    def of_hub(self) -> FetchedRepository | None:
        return model_of_hub(self.path, self.revision)


class PlannedPretrainedText(PretrainedText, ReadsOutside):
    """The job: also what a local folder holds."""

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return outside.pretrained(self.path)


class PretrainedTextTokenizer(PretrainedText, TextTokenizerSettings):
    """A Hugging Face tokenizer from a local folder or the hub."""

    kind: Literal["pretrained"]

    def needs(self) -> list[Need]:
        return [model_need("text tokenizer", self.path, self.revision)]


KIND = TokenizerKind(
    settings=PretrainedTextTokenizer,
    job=JobKind(PlannedPretrainedText, "unix_lib.tokenizers.text:make_pretrained_tokenizer", 1),
)

"""The kind of text tokenizer `pretrained`: a Hugging Face tokenizer from a local folder or the hub."""

from typing import Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need, model_need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.strict import Model, StrictModel, key
from unix_lib.config.tokenizers import TextTokenizerSettings, TokenizerKind


class PretrainedText(StrictModel):
    """Where the tokenizer is."""

    path: str = key("local folder or hub id", min_length=1)
    revision: str = key("pinned revision on the hub", "main")


class PlannedPretrainedText(PretrainedText):
    """The job: also what a local folder holds."""

    identity: FilesIdentity | None = key("the folder's files; null for a hub id", None, sparse=True)


class PretrainedTextTokenizer(PretrainedText, TextTokenizerSettings):
    """A Hugging Face tokenizer from a local folder or the hub."""

    kind: Literal["pretrained"]

    def settings_of(self, model: type[Model], outside: Outside) -> Model:
        return self.narrowed(model, identity=outside.pretrained(self.path))

    def needs(self) -> list[Need]:
        return [model_need("text tokenizer", self.path, self.revision)]


KIND = TokenizerKind(
    settings=PretrainedTextTokenizer,
    job=JobKind(PlannedPretrainedText, "unix_lib.tokenizers.text:make_pretrained_tokenizer", 1),
)

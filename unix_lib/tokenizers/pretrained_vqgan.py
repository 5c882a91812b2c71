"""The kind of image tokenizer `pretrained`: Chameleon's VQGAN, `vqgan.yaml` + `vqgan.ckpt` or Hugging Face weights."""

from typing import Literal

from unix_lib.config.hub import FetchedRepository, OfHub, model_of_hub
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need, model_need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import key
from unix_lib.config.tokenizers import ImageTokenizerSettings, TokenizerKind, VQGANShape


class PretrainedVQGAN(OfHub):
    """Where the weights are, and what they must be."""

    shape: VQGANShape
    path: str = key("folder with vqgan.yaml and vqgan.ckpt, or a Hugging Face folder or hub id", min_length=1)
    revision: str = key("its commit on the hub; of a branch or tag the lock has it", "main")

    def of_hub(self) -> FetchedRepository | None:
        return model_of_hub(self.path, self.revision)


class PlannedPretrainedVQGAN(PretrainedVQGAN, ReadsOutside):
    """The job: also what a local folder holds."""

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return outside.pretrained(self.path)


class PretrainedImageTokenizer(PretrainedVQGAN, ImageTokenizerSettings):
    """Chameleon's VQGAN: `vqgan.yaml` + `vqgan.ckpt`, or Hugging Face weights."""

    kind: Literal["pretrained"]

    def needs(self) -> list[Need]:
        return [model_need("image tokenizer", self.path, self.revision)]


KIND = TokenizerKind(
    settings=PretrainedImageTokenizer,
    job=JobKind(PlannedPretrainedVQGAN, "unix_lib.tokenizers.image:make_pretrained_tokenizer", 1),
)

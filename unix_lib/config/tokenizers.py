"""Config of the `tokenizers` stage: the text tokenizer, the image tokenizer, the vocabulary."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unix_lib.config.jobs import JobShape
from unix_lib.config.strict import StrictModel, key


class TrainedTextTokenizer(StrictModel):
    """A byte-level BPE with Qwen's special tokens, trained on this experiment's text."""

    kind: Literal["train_bpe"]
    vocabulary_size: int = key("tokens, byte alphabet included, special tokens not", 2048, ge=300)
    sources: list[str] = key("sources whose training text it learns from", min_length=1)


class PretrainedTextTokenizer(StrictModel):
    """A Hugging Face tokenizer from a local folder or the hub."""

    kind: Literal["pretrained"]
    path: str = key("local folder or hub id")
    revision: str = key("pinned revision on the hub", "main")


GROUPS = 32  # of the group norms in Chameleon's VQGAN
MOST_CODES = 1 << 16  # records store a code in 16 bits


class VQGANShape(StrictModel):
    """Architecture of a Chameleon-class VQGAN."""

    codebook_size: int = key("image codes, stored in 16 bits each", 8192, ge=2, le=MOST_CODES)
    image_size: int = key("side of an image, pixels", 512, ge=8)
    embedding_width: int = key("width of a code's vector", 256, ge=2)
    latent_width: int = key("channels before quantization", 256, ge=2)
    base_channels: int = key("channels of the first level", 128, ge=4)
    channel_multipliers: list[Annotated[int, Field(ge=1)]] = key(
        "per level; each further level halves the side", [1, 1, 2, 2, 4], min_length=1
    )
    residual_blocks: int = key("residual blocks per level", 2, ge=1)
    attention: bool = key("attention in the middle of encoder and decoder", True)

    @property
    def grid(self) -> int:
        """Codes along one side of an image."""
        return self.image_size // 2 ** (len(self.channel_multipliers) - 1)

    @property
    def codes_per_image(self) -> int:
        return self.grid * self.grid

    @model_validator(mode="after")
    def _divisible(self) -> "VQGANShape":
        factor = 2 ** (len(self.channel_multipliers) - 1)
        if self.image_size % factor:
            raise ValueError(f"image_size {self.image_size} is not a multiple of {factor}, the VQGAN's downsampling")
        if self.base_channels % GROUPS:
            raise ValueError(f"base_channels {self.base_channels} is not a multiple of {GROUPS}, its norms' groups")
        return self


class TrainedImageTokenizer(StrictModel):
    """A small VQGAN trained on this experiment's images."""

    kind: Literal["train_vqgan"]
    shape: VQGANShape
    sources: list[str] = key("sources whose training images it learns from", min_length=1)
    steps: int = key("optimizer steps", 600, ge=1)
    batch_size: int = key("images a step", 32, ge=1)
    learning_rate: float = key("peak learning rate", 2e-3, gt=0)
    commitment_weight: float = key("weight of the commitment loss", 0.25, ge=0)
    seed: int = key("seed of the weights and of the batches", 218, ge=0, lt=2**64)
    checkpoint_seconds: int = key("seconds between saves that a killed job resumes from", 30, kind="operational", ge=1)


class PretrainedImageTokenizer(StrictModel):
    """Chameleon's VQGAN: `vqgan.yaml` + `vqgan.ckpt`, or Hugging Face weights."""

    kind: Literal["pretrained"]
    shape: VQGANShape
    path: str = key("folder with vqgan.yaml and vqgan.ckpt, or a Hugging Face folder or hub id")
    revision: str = key("pinned revision on the hub", "main")


TextTokenizerConfig = Annotated[TrainedTextTokenizer | PretrainedTextTokenizer, Field(discriminator="kind")]
ImageTokenizerConfig = Annotated[TrainedImageTokenizer | PretrainedImageTokenizer, Field(discriminator="kind")]


class TokenizersConfig(StrictModel):
    """The experiment's two tokenizers."""

    text: TextTokenizerConfig = key("text tokenizer")
    image: ImageTokenizerConfig = key("image tokenizer")
    vocabulary_multiple: int = key(
        "the text vocabulary is padded to a multiple of this before the image codes", 64, ge=1
    )
    padded_text_vocabulary: int | None = key(
        "exact padded size (a pretrained model's embedding rows); null computes it", None
    )
    image_separator_every: int | None = key(
        "<|vision_pad|> follows every this many codes of an image, such as a row's; null puts none",
        None,
        ge=1,
        sparse=True,
    )
    job: JobShape = key("shape of a tokenizer job", JobShape(threads=1, runtime_minutes=120), kind="operational")

    @model_validator(mode="after")
    def _separators_fit(self) -> "TokenizersConfig":
        every, codes = self.image_separator_every, self.image.shape.codes_per_image
        if every is not None and codes % every:
            raise ValueError(f"image_separator_every {every} does not divide an image's {codes} codes; take a divisor")
        return self

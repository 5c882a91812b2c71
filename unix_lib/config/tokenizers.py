"""Config of the `tokenizers` stage: the text tokenizer, the image tokenizer, the vocabulary."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, model_validator

from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind, Kind, KindField
from unix_lib.config.needs import Need
from unix_lib.config.strict import StrictModel, key

GROUPS = 32  # of the group norms in Chameleon's VQGAN
MOST_CODES = 1 << 16  # records store a code in 16 bits


class VQGANShape(StrictModel):
    """Architecture of a Chameleon-class VQGAN."""

    codebook_size: int = key("image codes, stored in 16 bits each", 8192, ge=2, le=MOST_CODES)
    image_size: int = key("side of an image, pixels", 512, ge=8, le=8192)
    embedding_width: int = key("width of a code's vector", 256, ge=2, le=65_536)
    latent_width: int = key("channels before quantization", 256, ge=2, le=65_536)
    base_channels: int = key("channels of the first level", 128, ge=4, le=8192)
    channel_multipliers: list[Annotated[int, Field(ge=1, le=64)]] = key(
        "per level; each further level halves the side", [1, 1, 2, 2, 4], min_length=1, max_length=11
    )
    residual_blocks: int = key("residual blocks per level", 2, ge=1, le=64)
    attention: bool = key("attention in the middle of encoder and decoder", True)

    @property
    def grid(self) -> int:
        """Codes along one side of an image."""
        return self.image_size >> (len(self.channel_multipliers) - 1)

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


class TokenizerSettings(StrictModel):
    """The config of a tokenizer of any kind."""

    kind: str = key("kind of tokenizer: one of the project's, or a module of your own")

    def trained_on(self) -> list[str]:
        """Sources whose training splits it learns from."""
        return []

    def needs(self) -> list[Need]:
        """What it needs from outside."""
        return []


class TextTokenizerSettings(TokenizerSettings):
    """The config of a text tokenizer of any kind."""

    def text_rows(self) -> int | None:
        """Ids that it will have, special tokens left out; None where only the tokenizer itself can tell."""
        return None


class ImageTokenizerSettings(TokenizerSettings):
    """The config of an image tokenizer of any kind."""

    shape: VQGANShape


@dataclass(frozen=True)
class TokenizerKind(Kind[Any]):
    """A kind of tokenizer: one job, which gets the sources it learns from in role `records` or `images`."""

    job: JobKind[Any] = field(kw_only=True)


class VocabularySettings(StrictModel):
    """What the vocabulary depends on beside the text tokenizer."""

    codebook_size: int = key("image codes")
    codes_per_image: int = key("codes of one image")
    multiple: int = key("the text part is padded to a multiple of this ...")
    padded_text_vocabulary: int | None = key("... unless its size is given")
    image_separator_every: int | None = key("a separator follows every so many codes", None, sparse=True)


VOCABULARY = JobKind(VocabularySettings, "unix_lib.tokenizers.vocabulary:make_vocabulary", 1)


class TokenizersConfig(Execution):
    """The experiment's tokenizers; either may be left out where nothing needs it."""

    text: Annotated[TextTokenizerSettings, KindField("text tokenizer", TokenizerKind)] | None = key(
        "text tokenizer", None
    )
    image: Annotated[ImageTokenizerSettings, KindField("image tokenizer", TokenizerKind)] | None = key(
        "image tokenizer", None
    )
    vocabulary_multiple: int = key(
        "the text vocabulary is padded to a multiple of this before the image codes", 64, ge=1, le=1_000_000
    )
    padded_text_vocabulary: int | None = key(
        "exact padded size (a pretrained model's embedding rows); null computes it", None, ge=1, le=2**24
    )
    image_separator_every: int | None = key(
        "<|vision_pad|> follows every this many codes of an image, such as a row's; null puts none",
        None,
        ge=1,
        le=2**26,
        sparse=True,
    )
    job: JobShape = key("shape of a tokenizer job", JobShape(threads=1, runtime_minutes=120), kind="operational")

    def notices(self, packed: list[str]) -> Iterator[str]:
        """What must be known of them before sources are packed, a line each."""
        learned_from = self.text.trained_on() if self.text else []
        others = [source for source in packed if source not in learned_from]
        if learned_from and others:
            yield (
                f"tokenizers.text does not learn from {', '.join(others)}, and what it never saw is spelled out: up to "
                "three tokens for a Chinese character. Texts in another language or script than those of "
                f"{', '.join(learned_from)} belong into tokenizers.text.sources; the figure text_cost measures it."
            )

    def vocabulary(self) -> VocabularySettings:
        """Settings of the vocabulary of both tokenizers, which must be there."""
        assert self.image is not None
        return self.narrowed(
            VocabularySettings,
            codebook_size=self.image.shape.codebook_size,
            codes_per_image=self.image.shape.codes_per_image,
            multiple=self.vocabulary_multiple,
        )

    @model_validator(mode="after")
    def _separators_fit(self) -> "TokenizersConfig":
        every = self.image_separator_every
        if every is not None and self.image is not None and self.image.shape.codes_per_image % every:
            raise ValueError(
                f"image_separator_every {every} does not divide an image's {self.image.shape.codes_per_image} codes; "
                "take a divisor"
            )
        return self

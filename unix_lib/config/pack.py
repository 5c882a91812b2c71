"""Config of the `pack` stage: records to fixed-length packs of tokens."""

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import model_validator

from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.tokenize import Template

Packing = Literal["none", "pretraining", "sft"]
Language = Literal["en", "zh", "de"]
UNITS = ("weight", "tokens", "share")
MOST_USES = 10_000
ROUNDING = 1e-6  # shares that people write add up to 1 within this


class MixturePart(StrictModel):
    """One source's part in a mixture, in one of three units: weight, tokens or share."""

    source: str = key("name of a source")
    weight: float = key(
        "times each record is used per epoch; a fraction takes a seeded subset", 1.0, gt=0, le=MOST_USES
    )
    tokens: int | None = key("or: about how many of its tokens an epoch has", None, sparse=True, ge=1, le=10**15)
    share: float | None = key(
        "or: its share of an epoch's tokens; where every part has one, an epoch ends when the first source is used up",
        None,
        sparse=True,
        gt=0,
        le=1,
    )
    kinds: list[Literal["text", "image_text", "conversation"]] = key("record kinds taken; empty takes all", [])
    text_to_image_ratio: float | None = key("where it is not the mixture's", None, sparse=True, ge=0, le=1)

    @model_validator(mode="after")
    def _in_one_unit(self) -> "MixturePart":
        given = [unit for unit in UNITS if getattr(self, unit) != type(self).model_fields[unit].default]
        if len(given) > 1:
            raise ValueError(f"source '{self.source}' has {' and '.join(given)}; give it one of {', '.join(UNITS)}")
        return self

    @property
    def weighted(self) -> bool:
        """Whether its weight is given, not computed from its tokens."""
        return self.tokens is None and self.share is None


class Mixture(StrictModel):
    """A training mixture: which records, and how they become token sequences."""

    parts: list[MixturePart] = key("sources and how much of each", min_length=1)
    epochs: int = key("epochs planned ahead, each with its own order and random choices", 1, ge=1, le=10_000)
    packing: Packing = key(
        "none: a document a pack; pretraining: as many whole documents as fit; sft: as many as fit, and a caption read "
        "from its image is the answer to a question",
        "pretraining",
        sparse=True,
    )
    template: Template = key(
        "how turns are joined; ours: an end after every answer; published: one to three newlines before every turn, "
        "one end behind the last",
        "ours",
        sparse=True,
    )
    instruction_languages: list[Language] = key(
        "languages of the phrases that ask for an image or a caption", ["en"], sparse=True, min_length=1
    )
    image_size_prefix: bool = key("say the size of the image to be made before its instruction", False, sparse=True)
    text_to_image_ratio: float = key("share of image-caption records used as text-to-image", 0.8, ge=0, le=1)
    unconditional_probability: float = key("text-to-image prompts replaced by <unconditional>", 0.1, ge=0, le=1)
    mask_instructions: bool = key("train only image codes, answers and captions, not prompts", True)

    def notices(self, name: str, with_images: Collection[str], with_captions: Collection[str]) -> Iterator[str]:
        """What must be known of the mixture called `name` before it is packed, a line each.

        Args:
            with_images: sources that have images.
            with_captions: those among them whose images may have captions; the others' are drawn without being asked.
        """
        where = f"pack.mixtures.{name}"
        for part in self.parts:
            if part.weight > 1:
                yield f"{where}: each record of source {part.source} is used {part.weight:g} times an epoch."
        shown = [part for part in self.parts if part.source in with_images and set(part.kinds) != {"text"}]
        alone = [part for part in shown if not part.kinds or "image_text" in part.kinds]
        asked = [part for part in alone if part.source in with_captions and self.ratio_of(part)]
        if not shown:
            yield f"{where}: none of its sources has images; what is trained on it learns text only."
        elif not asked and all(part.source in with_captions for part in alone):
            yield f"{where}: no sample asks for an image; what is trained on it learns to draw none."
        elif not asked:
            yield f"{where}: no caption asks for an image; what learns from it draws, but not what it is told."

    def ratio_of(self, part: MixturePart) -> float:
        """Share of a part's image-caption records used as text-to-image."""
        return self.text_to_image_ratio if part.text_to_image_ratio is None else part.text_to_image_ratio

    @model_validator(mode="after")
    def _each_source_once(self) -> "Mixture":
        names = [part.source for part in self.parts]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"source '{repeated[0]}' appears twice; give it one part with the summed weight")
        return self

    @model_validator(mode="after")
    def _shares_of_a_whole(self) -> "Mixture":
        shares = [part.share for part in self.parts if part.share is not None]
        total = sum(shares)
        if len(shares) == len(self.parts) and abs(total - 1) > ROUNDING:
            raise ValueError(f"the shares of the parts add up to {total:g}; make it 1")
        if len(shares) < len(self.parts) and total > 1 - ROUNDING:
            raise ValueError(f"shares of {total:g} leave nothing for the parts without one; lower them")
        return self


class PackConfig(Execution):
    """Packing of every mixture."""

    length: int = key("tokens per pack", 1024, ge=16, le=2**24)
    mixtures: dict[str, Mixture] = key("mixtures by name", min_length=1)
    seed: int = key("seed of order, direction, templates and dropout", 218, ge=0, lt=2**64)
    job: JobShape = key("shape of a pack job", JobShape(threads=1, runtime_minutes=240), kind="operational")


class PackSettings(Mixture):
    """What the packs of one mixture depend on beside its tokens, its codes and the vocabulary."""

    pack_length: int = key("tokens per pack")
    image_size: int | None = key("pixels of an image's side, where they are told", None, sparse=True)
    seed: int = key("seed of order, direction, templates and dropout")


PACKS = JobKind(PackSettings, "unix_lib.pack.make:make_pack", 5)

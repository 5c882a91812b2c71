"""Config of the `pack` stage: records to fixed-length packs of tokens."""

from typing import Literal

from pydantic import model_validator

from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class MixturePart(StrictModel):
    """One source's part in a mixture."""

    source: str = key("name of a source")
    weight: float = key("times each record is used per epoch; a fraction takes a seeded subset", 1.0, gt=0, le=10_000)
    kinds: list[Literal["text", "image_text", "conversation"]] = key("record kinds taken; empty takes all", [])


class Mixture(StrictModel):
    """A training mixture: which records, and how they become token sequences."""

    parts: list[MixturePart] = key("sources and their weights", min_length=1)
    epochs: int = key("epochs planned ahead, each with its own order and random choices", 1, ge=1, le=10_000)
    text_to_image_ratio: float = key("share of image-caption records used as text-to-image", 0.8, ge=0, le=1)
    unconditional_probability: float = key("text-to-image prompts replaced by <unconditional>", 0.1, ge=0, le=1)
    mask_instructions: bool = key("train only image codes, answers and captions, not prompts", True)

    @model_validator(mode="after")
    def _each_source_once(self) -> "Mixture":
        names = [part.source for part in self.parts]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"source '{repeated[0]}' appears twice; give it one part with the summed weight")
        return self


class PackConfig(Execution):
    """Packing of every mixture."""

    length: int = key("tokens per pack", 1024, ge=16, le=2**24)
    mixtures: dict[str, Mixture] = key("mixtures by name", min_length=1)
    seed: int = key("seed of order, direction, templates and dropout", 218, ge=0, lt=2**64)
    job: JobShape = key("shape of a pack job", JobShape(threads=1, runtime_minutes=240), kind="operational")


class PackSettings(Mixture):
    """What the packs of one mixture depend on beside its records, its codes, the tokenizer and the vocabulary."""

    pack_length: int = key("tokens per pack")
    seed: int = key("seed of order, direction, templates and dropout")


PACKS = JobKind(PackSettings, "unix_lib.pack.make:make_pack", 3)

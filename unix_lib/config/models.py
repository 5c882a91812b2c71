"""Config of the models: a decoder's shape and its table of layer plans."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from unix_lib.artefacts.errors import UserError
from unix_lib.config.hub import FetchedRepository, OfHub, model_of_hub
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import StrictModel, key


class PlanError(UserError):
    """A plan that doesn't fit the decoder; the message says why and what would."""


class DecoderShape(StrictModel):
    """The shape of a Qwen2- or Qwen3-class decoder."""

    family: Literal["qwen2", "qwen3"] = key(
        "qwen2: biases on queries, keys and values; qwen3: norms on queries and keys instead", "qwen2", sparse=True
    )
    hidden_size: int = key("width of the residual stream", 128, ge=8, le=65_536)
    intermediate_size: int = key("width of the feed-forward layers", 384, ge=8, le=2**20)
    layers: int = key("decoder layers", 8, ge=1, le=1024)
    heads: int = key("query heads", 4, ge=1, le=1024)
    key_value_heads: int = key("key and value heads", 2, ge=1, le=1024)
    head_width: int | None = key(
        "width of a head; hidden_size / heads where left out", None, ge=2, le=4096, sparse=True
    )
    tie_embeddings: bool = key("the head shares the embedding's weights", True)
    max_positions: int = key("longest document, tokens", 2048, ge=16, le=2**24)
    rope_theta: float = key("base of the rotary frequencies", 10000.0, gt=0)
    initializer_range: float = key(
        "standard deviation of random matrices; Qwen's suits widths in the thousands", 0.02, gt=0
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> "DecoderShape":
        divided = self.hidden_size % self.heads == 0 or self.head_width is not None
        if not divided or self.heads % self.key_value_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of heads {self.heads} or head_width be given, and "
                f"heads be a multiple of key_value_heads {self.key_value_heads}"
            )
        if self.width_of_heads % 2:
            raise ValueError(
                f"heads are {self.width_of_heads} wide, and rotary embeddings turn pairs: set an even head_width"
            )
        return self

    @property
    def width_of_heads(self) -> int:
        """Width of one head, given or divided."""
        return self.head_width or self.hidden_size // self.heads


class LayerPlan(StrictModel):
    """One decoder layer: whose weights it uses and which tokens may see each other."""

    attention_weights: Literal["shared", "per_modality"] = key("whose projections and norms", "shared")
    attention_scope: Literal["joint", "within_modality"] = key("which tokens a token may see", "joint")
    # per_modality: feed-forward layer and the norm before it. shared_plus_vision: behind one norm, a text token passes
    # the text model's layer, a vision token the vision expert, and both one more layer that all tokens share.
    ffn: Literal["shared", "per_modality", "shared_plus_vision"] = key("whose feed-forward layer", "shared")
    ffn_shared_width: int = key(
        "of shared_plus_vision: width of the feed-forward layer that all tokens pass", 0, ge=0, le=2**20, sparse=True
    )
    ffn_vision_width: int = key(
        "of shared_plus_vision: width of the vision tokens' expert", 0, ge=0, le=2**20, sparse=True
    )

    @model_validator(mode="after")
    def _widths_fit(self) -> "LayerPlan":
        given = self.ffn_shared_width + self.ffn_vision_width > 0
        if given != (self.ffn == "shared_plus_vision"):
            raise ValueError(
                "ffn_shared_width and ffn_vision_width belong to ffn 'shared_plus_vision', which needs at least one "
                f"above 0; ffn is '{self.ffn}' with {self.ffn_shared_width} and {self.ffn_vision_width}"
            )
        return self

    @property
    def separate(self) -> bool:
        """Whether the layer has weights that only one modality's tokens pass."""
        return self != LayerPlan(attention_scope=self.attention_scope)

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "LayerPlan":
        """From plain JSON values, as a model's config stores them; what is left out is shared and joint.

        Raises:
            PlanError: a field or a value that no layer has.
        """
        try:
            return cls.model_validate(row)
        except ValidationError as error:
            fault = error.errors()[0]
            where = f"{fault['loc'][0]}: " if fault["loc"] else ""
            raise PlanError(f"layer plan: {where}{fault['msg']}") from None

    def as_dict(self) -> dict[str, str | int]:
        """Plain JSON values, as a model's config stores them; widths where there are any."""
        return self.semantic()


class Plan(StrictModel):
    """A plan of any preset."""

    preset: str

    def misfit(self, layers: int) -> str | None:
        """Why the plan can't be that of a decoder of so many layers; None where it can."""
        return None


class SplitPlan(Plan):
    """A plan with separate layers at both ends."""

    first: int = key("N, separate shallow layers", ge=0, le=1024)
    last: int = key("M, separate deep layers", ge=0, le=1024)

    def misfit(self, layers: int) -> str | None:
        if self.first + self.last < layers:
            return None
        return (
            f"plan {self.preset} {self.first}:{self.last} leaves no shared layer of {layers}; first and last must add "
            f"up to at most {layers - 1}"
        )


class SharedPlan(Plan):
    """Every layer shared: the plain multimodal transformer."""

    preset: Literal["shared"]


class UnixPlan(SplitPlan):
    """The paper's X: first N and last M layers separate per modality, the middle shared."""

    preset: Literal["unix"]
    attention_scope: Literal["within_modality", "joint"] = key(
        "which tokens a token of the separate layers may see", "within_modality", sparse=True
    )


class UnixSharedFfnPlan(SplitPlan):
    """Uni-X whose middle layers add a feed-forward layer for all tokens, and give vision tokens one of their own.

    In the middle a text token passes the text model's feed-forward layer and the shared one, a vision token the
    vision expert and the shared one; attention and norms are shared.
    """

    preset: Literal["unix_shared_ffn"]
    shared_width: int = key(
        "width of the feed-forward layer that all tokens of the middle pass; 0 has none", ge=0, le=2**20
    )
    vision_width: int = key("width of the vision tokens' expert in the middle; 0 has none", ge=0, le=2**20)

    @model_validator(mode="after")
    def _vision_has_some(self) -> "UnixSharedFfnPlan":
        if not self.shared_width + self.vision_width:
            raise ValueError("shared_width and vision_width are both 0: set one, or take preset unix")
        return self


class MoTPlan(Plan):
    """Mixture of transformers: separate weights in every layer, joint attention, full width."""

    preset: Literal["mot"]


class MoEPlan(Plan):
    """Hard mixture of experts: a separate vision feed-forward layer in every k-th layer."""

    preset: Literal["moe"]
    every: int = key("k", 2, ge=1, le=1024)

    def misfit(self, layers: int) -> str | None:
        if self.every <= layers:
            return None
        return (
            f"plan moe: every {self.every} leaves no layer of {layers} with a vision expert; set it to at most {layers}"
        )


class CustomPlan(Plan):
    """A table written out, one row a layer."""

    preset: Literal["custom"]
    table: list[LayerPlan] = key("one row per layer, first layer first", min_length=1)

    def misfit(self, layers: int) -> str | None:
        if len(self.table) == layers:
            return None
        return f"plan custom has {len(self.table)} rows for {layers} layers; write one row per layer"


PlanConfig = Annotated[
    SharedPlan | UnixPlan | UnixSharedFfnPlan | MoTPlan | MoEPlan | CustomPlan, Field(discriminator="preset")
]


class FreshStart(StrictModel):
    """Random weights."""

    kind: Literal["fresh"]
    shape: DecoderShape


class RunStart(StrictModel):
    """The last checkpoint of another run of this experiment."""

    kind: Literal["run"]
    run: str = key("name of the run")
    image_rows: Literal["kept", "fresh"] = key(
        "embedding rows of the image codes: kept, or drawn anew; a text-only run has only pushed them away",
        "kept",
    )


class PretrainedStart(OfHub, ReadsOutside):
    """A pretrained Qwen2, Qwen2.5 or Qwen3 model, or a checkpoint with image codes, whose ids must be the experiment's.

    Such a checkpoint is one of this project (of any experiment: its folder `model`), one that it exported, or one of
    the classes published with the paper. One with separate layers keeps its plan, which the run must have too.
    """

    kind: Literal["pretrained"]
    path: str = key("local folder or hub id", min_length=1)
    revision: str = key("its commit on the hub; of a branch or tag the lock has it", "main")
    shape: DecoderShape = key("its shape, checked against the weights")

    def of_hub(self) -> FetchedRepository | None:
        return model_of_hub(self.path, self.revision)

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return outside.pretrained(self.path)


StartConfig = Annotated[FreshStart | RunStart | PretrainedStart, Field(discriminator="kind")]

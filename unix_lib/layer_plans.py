"""The table of layer plans: what makes one decoder a shared transformer, Uni-X, MoT or MoE.

Flows in: the semantic settings of a run's `plan` and the number of layers. Flows out: one `LayerPlan` per layer.
It lives outside `unix_lib.models` because importing that package registers the model with transformers, and so
imports torch; this module may be imported by the workflow.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from unix_lib.artefacts.errors import UserError

Weights = Literal["shared", "per_modality"]
Scope = Literal["joint", "within_modality"]


class PlanError(UserError):
    """A plan that doesn't fit the decoder; the message says why and what would."""


@dataclass(frozen=True)
class LayerPlan:
    """One decoder layer: whose weights it uses and which tokens may see each other."""

    attention_weights: Weights = "shared"  # projections and the norm before them
    attention_scope: Scope = "joint"  # within_modality: only tokens of the own modality, in the same document
    ffn: Weights = "shared"  # feed-forward layer and the norm before it

    def __post_init__(self) -> None:
        choices = {"attention_weights": Weights, "attention_scope": Scope, "ffn": Weights}
        for name, allowed in choices.items():
            if getattr(self, name) not in get_args(allowed):
                known = ", ".join(get_args(allowed))
                raise PlanError(f"layer plan: {name} '{getattr(self, name)}' is unknown; choose one of {known}")

    @property
    def separate(self) -> bool:
        """Whether any of the layer's weights exist twice."""
        return "per_modality" in (self.attention_weights, self.ffn)

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "LayerPlan":
        """From plain JSON values; what is left out is shared and joint."""
        return cls(**row)

    def as_dict(self) -> dict[str, str]:
        """Plain JSON values, as a model's config stores them."""
        return asdict(self)


SHARED = LayerPlan()
SEPARATE = LayerPlan("per_modality", "within_modality", "per_modality")
MIXTURE_OF_TRANSFORMERS = LayerPlan("per_modality", "joint", "per_modality")
VISION_EXPERT = LayerPlan("shared", "joint", "per_modality")


def layer_plan(plan_settings: dict[str, Any], layers: int) -> list[LayerPlan]:
    """The plan of each layer, first layer first.

    Args:
        plan_settings: `{"preset": "shared"}`, `{"preset": "unix", "first": N, "last": M}`, `{"preset": "mot"}`,
            `{"preset": "moe", "every": k}` or `{"preset": "custom", "table": [row, ...]}`.
        layers: decoder layers.

    Raises:
        PlanError: an unknown preset, or a plan that doesn't fit `layers`.
    """
    preset = plan_settings.get("preset")
    if preset == "shared":
        return [SHARED] * layers
    if preset == "unix":
        first, last = int(plan_settings["first"]), int(plan_settings["last"])
        if first < 0 or last < 0 or first + last >= layers:
            raise PlanError(
                f"plan unix {first}:{last} leaves no shared layer of {layers}; first and last must not be negative "
                f"and add up to at most {layers - 1}"
            )
        return [SEPARATE] * first + [SHARED] * (layers - first - last) + [SEPARATE] * last
    if preset == "mot":
        return [MIXTURE_OF_TRANSFORMERS] * layers
    if preset == "moe":
        every = int(plan_settings["every"])
        if not 1 <= every <= layers:
            raise PlanError(f"plan moe: every {every} must be between 1 and the number of layers, {layers}")
        return [VISION_EXPERT if (layer + 1) % every == 0 else SHARED for layer in range(layers)]
    if preset == "custom":
        table = plan_settings["table"]
        if len(table) != layers:
            raise PlanError(f"plan custom has {len(table)} rows for {layers} layers; write one row per layer")
        return [LayerPlan.from_dict(row) for row in table]
    raise PlanError(f"unknown plan preset '{preset}'; choose one of shared, unix, mot, moe, custom")


def architecture_label(plan_settings: dict[str, Any]) -> str:
    """Short name of an architecture for tables and figures: `shared`, `unix 2:1`, `mot`, `moe 1/2`, `custom`."""
    preset = plan_settings["preset"]
    if preset == "unix":
        return f"unix {plan_settings['first']}:{plan_settings['last']}"
    if preset == "moe":
        return f"moe 1/{plan_settings['every']}"
    return str(preset)

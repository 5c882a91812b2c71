"""The table of layer plans: what makes one decoder a shared transformer, Uni-X, MoT or MoE.

Flows in: the semantic settings of a run's `plan` and the number of layers. Flows out: one `LayerPlan` per layer.
It lives outside `unix_lib.models` because importing that package registers the model with transformers, and so
imports torch; this module may be imported by the workflow.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from unix_lib.artefacts.errors import UserError

Weights = Literal["shared", "per_modality"]
Scope = Literal["joint", "within_modality"]
FeedForwards = Literal["shared", "per_modality", "shared_plus_vision"]


class PlanError(UserError):
    """A plan that doesn't fit the decoder; the message says why and what would."""


@dataclass(frozen=True)
class LayerPlan:
    """One decoder layer: whose weights it uses and which tokens may see each other."""

    attention_weights: Weights = "shared"  # projections and the norm before them
    attention_scope: Scope = "joint"  # within_modality: only tokens of the own modality, in the same document
    # per_modality: feed-forward layer and the norm before it. shared_plus_vision: behind one norm, a text token passes
    # the text model's layer, a vision token the vision expert, and both one more layer that all tokens share.
    ffn: FeedForwards = "shared"
    ffn_shared_width: int = 0  # of shared_plus_vision; 0 leaves the layer out
    ffn_vision_width: int = 0

    def __post_init__(self) -> None:
        choices = {"attention_weights": Weights, "attention_scope": Scope, "ffn": FeedForwards}
        for name, allowed in choices.items():
            if getattr(self, name) not in get_args(allowed):
                known = ", ".join(get_args(allowed))
                raise PlanError(f"layer plan: {name} '{getattr(self, name)}' is unknown; choose one of {known}")
        widths = (self.ffn_shared_width, self.ffn_vision_width)
        if min(widths) < 0 or any(widths) != (self.ffn == "shared_plus_vision"):
            raise PlanError(
                f"layer plan: ffn '{self.ffn}' with ffn_shared_width {widths[0]} and ffn_vision_width {widths[1]}; the "
                "widths belong to shared_plus_vision, which needs at least one above 0"
            )

    @property
    def separate(self) -> bool:
        """Whether the layer has weights that only one modality's tokens pass."""
        return self != LayerPlan(attention_scope=self.attention_scope)

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "LayerPlan":
        """From plain JSON values; what is left out is shared and joint.

        Raises:
            PlanError: a field or a value that no layer has.
        """
        known = [field.name for field in fields(cls)]
        for name in row:
            if name not in known:
                raise PlanError(f"layer plan: unknown field '{name}'; known: {', '.join(known)}")
        return cls(**row)

    def as_dict(self) -> dict[str, str | int]:
        """Plain JSON values, as a model's config stores them; widths where there are any."""
        return {name: value for name, value in asdict(self).items() if value != 0}


SHARED = LayerPlan()
SEPARATE = LayerPlan("per_modality", "within_modality", "per_modality")
MIXTURE_OF_TRANSFORMERS = LayerPlan("per_modality", "joint", "per_modality")
VISION_EXPERT = LayerPlan("shared", "joint", "per_modality")


def layer_plan(plan_settings: dict[str, Any], layers: int) -> list[LayerPlan]:
    """The plan of each layer, first layer first.

    Args:
        plan_settings: `{"preset": "shared"}`, `{"preset": "unix", "first": N, "last": M}` (with `"attention_scope":
            "joint"` where separate layers see all tokens), `{"preset": "unix_shared_ffn", "first": N, "last": M,
            "shared_width": S, "vision_width": V}`, `{"preset": "mot"}`, `{"preset": "moe", "every": k}` or
            `{"preset": "custom", "table": [row, ...]}`.
        layers: decoder layers.

    Raises:
        PlanError: an unknown preset, or a plan that doesn't fit `layers`.
    """
    preset = plan_settings.get("preset")
    if preset == "shared":
        return [SHARED] * layers
    if preset in ("unix", "unix_shared_ffn"):
        first, last = int(plan_settings["first"]), int(plan_settings["last"])
        if first < 0 or last < 0 or first + last >= layers:
            raise PlanError(
                f"plan {preset} {first}:{last} leaves no shared layer of {layers}; first and last must not be negative "
                f"and add up to at most {layers - 1}"
            )
        outer = replace(SEPARATE, attention_scope=plan_settings.get("attention_scope", "within_modality"))
        middle = SHARED
        if preset == "unix_shared_ffn":
            widths = plan_settings["shared_width"], plan_settings["vision_width"]
            middle = LayerPlan("shared", "joint", "shared_plus_vision", *widths)
        return [outer] * first + [middle] * (layers - first - last) + [outer] * last
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
    raise PlanError(f"unknown plan preset '{preset}'; choose one of shared, unix, unix_shared_ffn, mot, moe, custom")


def architecture_label(plan_settings: dict[str, Any]) -> str:
    """Short name of an architecture for tables and figures.

    `shared`, `unix 2:1`, `unix_joint 2:1`, `unix_shared_ffn 2:1 64+192` (shared and vision width), `mot`, `moe 1/2`,
    `custom`. The first word is what figures and claims go by, so a variant of Uni-X is never taken for Uni-X.
    """
    preset = plan_settings["preset"]
    if preset in ("unix", "unix_shared_ffn"):
        split = f"{plan_settings['first']}:{plan_settings['last']}"
        if preset == "unix_shared_ffn":
            return f"{preset} {split} {plan_settings['shared_width']}+{plan_settings['vision_width']}"
        return f"unix_joint {split}" if plan_settings.get("attention_scope") == "joint" else f"unix {split}"
    if preset == "moe":
        return f"moe 1/{plan_settings['every']}"
    return str(preset)

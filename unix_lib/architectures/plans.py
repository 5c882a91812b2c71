"""The layer plans of a decoder: what makes it a shared transformer, Uni-X, MoT or MoE, one row per layer.

Outside `unix_lib.models`, because importing that package imports torch and the workflow plans without it.
"""

from unix_lib.config.models import (
    CustomPlan,
    LayerPlan,
    MoEPlan,
    MoTPlan,
    PlanConfig,
    PlanError,
    SharedPlan,
    UnixPlan,
    UnixSharedFfnPlan,
)

SHARED = LayerPlan()
SEPARATE = LayerPlan(attention_weights="per_modality", attention_scope="within_modality", ffn="per_modality")
MIXTURE_OF_TRANSFORMERS = LayerPlan(attention_weights="per_modality", ffn="per_modality")
VISION_EXPERT = LayerPlan(ffn="per_modality")


def layer_plan(plan: PlanConfig, layers: int) -> list[LayerPlan]:
    """The plan of each of a decoder's `layers`, first layer first.

    Raises:
        PlanError: a plan that doesn't fit `layers`.
    """
    fault = plan.misfit(layers)
    if fault is not None:
        raise PlanError(fault)
    match plan:
        case SharedPlan():
            return [SHARED] * layers
        case MoTPlan():
            return [MIXTURE_OF_TRANSFORMERS] * layers
        case MoEPlan(every=every):
            return [VISION_EXPERT if (layer + 1) % every == 0 else SHARED for layer in range(layers)]
        case CustomPlan(table=table):
            return list(table)
    first, last = plan.first, plan.last
    outer, middle = SEPARATE, SHARED
    if isinstance(plan, UnixSharedFfnPlan):
        middle = LayerPlan(
            ffn="shared_plus_vision", ffn_shared_width=plan.shared_width, ffn_vision_width=plan.vision_width
        )
    elif plan.attention_scope == "joint":
        outer = MIXTURE_OF_TRANSFORMERS
    return [outer] * first + [middle] * (layers - first - last) + [outer] * last


def goes_on(before: list[LayerPlan], after: list[LayerPlan]) -> bool:
    """Whether a model of one plan can be trained on with another: a shared one with any, else only with its own."""
    return before == after or not any(row.separate for row in before)


def architecture_label(plan: PlanConfig) -> str:
    """Short name of an architecture for tables and figures.

    `shared`, `unix 2:1`, `unix_joint 2:1`, `unix_shared_ffn 2:1 64+192` (shared and vision width), `mot`, `moe 1/2`,
    `custom`. The first word is what figures and claims go by, so a variant of Uni-X is never taken for Uni-X.
    """
    match plan:
        case UnixPlan():
            name = "unix_joint" if plan.attention_scope == "joint" else "unix"
            return f"{name} {plan.first}:{plan.last}"
        case UnixSharedFfnPlan():
            return f"{plan.preset} {plan.first}:{plan.last} {plan.shared_width}+{plan.vision_width}"
        case MoEPlan():
            return f"moe 1/{plan.every}"
    return plan.preset

"""Config of the `figures` stage: which figures and tables are drawn."""

from typing import Literal

from unix_lib.config.jobs import JobShape
from unix_lib.config.strict import StrictModel, key

FigureName = Literal[
    "conditional_entropy",
    "gradient_conflict",
    "scores_over_tokens",
    "loss_curves",
    "generated_samples",
    "table1_text",
    "table2_multimodal",
    "table3_architectures",
    "table4_splits",
    "claims",
]
ALL_FIGURES: tuple[FigureName, ...] = FigureName.__args__  # type: ignore[attr-defined]


class FiguresConfig(StrictModel):
    """Figures and tables, one job each."""

    names: list[FigureName] = key("figures drawn", list(ALL_FIGURES), kind="operational")
    job: JobShape = key("shape of a figure job", JobShape(runtime_minutes=30), kind="operational")

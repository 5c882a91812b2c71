"""Table 2 of the paper: understanding and generation of images, published rows beside this experiment's."""

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import MULTIMODAL_BENCHMARKS, MULTIMODAL_ROWS
from unix_lib.figures.score_table import draw_score_table
from unix_lib.figures.style import Drawing


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    return draw_score_table(
        inputs,
        ("generation", "understanding"),
        columns=MULTIMODAL_BENCHMARKS,
        published=MULTIMODAL_ROWS,
        mean_column=False,
        title="Table 2: image generation and understanding",
    )

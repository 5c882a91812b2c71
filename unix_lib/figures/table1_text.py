"""Table 1 of the paper: text accuracy, published rows beside this experiment's."""

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import TEXT_BENCHMARKS, TEXT_ROWS
from unix_lib.figures.score_table import draw_score_table
from unix_lib.figures.style import Drawing


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    return draw_score_table(
        inputs,
        ("text",),
        columns=TEXT_BENCHMARKS,
        published=TEXT_ROWS,
        mean_column=True,
        title="Table 1: text",
    )

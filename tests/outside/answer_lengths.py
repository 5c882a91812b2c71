"""A figure of one's own: how long the answers of each checkpoint are."""

from typing import Any

from unix_lib.config.figures import FigureKind

KIND = FigureKind(
    draw=f"{__name__}:draw",
    logic_version=1,
    reads=("evaluations",),
    title="How long answers are",
    how_to_read="Characters of each answer, by architecture.",
)


def draw(inputs: Any, settings: Any) -> Any:
    """One point per answer."""
    import matplotlib.pyplot as plt
    import pandas as pd

    from unix_lib.figures.style import Drawing

    rows = []
    for folder in inputs.folders("evaluations"):
        for path in sorted((folder / "samples").glob("*.parquet")):
            answers = pd.read_parquet(path)
            rows.append(answers.assign(benchmark=path.stem, characters=answers.prediction.str.len(), origin="measured"))
    table = pd.concat(rows)[["origin", "benchmark", "sample_id", "characters"]]
    figure, axes = plt.subplots(layout="constrained")
    axes.plot(range(len(table)), table.characters, "o")
    axes.set(xlabel="answer", ylabel="characters")
    return Drawing(table, figure)

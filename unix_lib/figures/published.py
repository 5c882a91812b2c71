"""Numbers published by the Uni-X paper (arXiv 2509.24365) and by the papers that its tables quote.

`certainty` is `quoted` for a number known from the paper's own tables or the authors' files, and `second-hand` for one
that is reported elsewhere as the paper's and could not be checked against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

QUOTED, SECOND_HAND = "quoted", "second-hand"


@dataclass(frozen=True)
class PublishedRow:
    """One model's row of a table; values in the paper's own units, None where the paper has none."""

    model: str
    values: tuple[float | None, ...]
    certainty: str = QUOTED

    @property
    def marked(self) -> str:
        """The model, marked where its numbers are second-hand."""
        return self.model + (" (?)" if self.certainty == SECOND_HAND else "")


# PAPER: Fig. 2, the authors' CSV; bits. Order n -> English, German, Chinese, image.
ENTROPY_SOURCES = ("English", "German", "Chinese", "Image (VQGAN codes)")
ENTROPY_BITS: dict[int, tuple[float | None, ...]] = {
    1: (10.8332, 10.6777, 11.4892, 11.0564),
    2: (6.9576, 6.3728, 7.9386, 10.2860),
    3: (4.1062, 3.9527, 3.9195, 7.3884),
    4: (1.8410, 2.1524, 1.3671, 4.9710),
    5: (0.7664, 1.0638, 0.5106, None),
}

# PAPER: Table 1, accuracy in percent, lm-eval 0-shot.
TEXT_BENCHMARKS = {
    "arc_easy": "ARC-E",
    "arc_challenge": "ARC-C",
    "winogrande": "WinoGrande",
    "boolq": "BoolQ",
    "mmlu": "MMLU",
}
TEXT_ROWS = (
    PublishedRow("Chameleon-7B", (76.1, 46.5, 70.4, 81.4, 52.1, 65.3)),
    PublishedRow("Liquid-7B", (75.6, 49.0, 72.7, 81.0, 56.0, 66.9)),
    PublishedRow("Janus-Pro-7B", (70.4, 40.9, 66.1, 80.2, 49.3, 61.4), SECOND_HAND),
    PublishedRow("VILA-U-7B", (51.6, 34.0, 57.3, 70.6, 25.5, 47.8), SECOND_HAND),
    PublishedRow("Uni-X-3B", (79.0, 47.9, 68.9, 82.2, 57.6, 67.1)),
)

# PAPER: Table 2; GenEval, DPG, POPE, MMBench and SEED in percent, MME its perception score.
MULTIMODAL_BENCHMARKS = {
    "geneval": "GenEval",
    "dpg": "DPG",
    "mme": "MME",
    "pope": "POPE",
    "mmbench": "MMBench",
    "seed": "SEED",
}
PAPER_PROTOCOL = "paper"  # by which its answers to questions about images are read
MULTIMODAL_ROWS = (
    PublishedRow("EMU3-8B", (66, 80.6, 1243.8, 85.2, 58.5, 68.2)),
    PublishedRow("Liquid-7B", (68, 79.8, 1107.2, 81.1, None, None)),
    PublishedRow("Janus-Pro-7B", (80, 84.1, None, 87.4, 79.2, 72.1)),
    PublishedRow("Chameleon", (39, None, 604.5, None, 32.7, None), SECOND_HAND),
    PublishedRow("Uni-X-3B", (82, 79.8, 1158.3, 83.6, 59.3, 60.2)),
)

# PAPER: Table 3, mean of MMLU, GenEval and MMBench at equal data; its other cells are not known.
ARCHITECTURE_ROWS = (
    PublishedRow("Shared", (38.0,), SECOND_HAND),
    PublishedRow("MoT", (34.6,), SECOND_HAND),
    PublishedRow("Uni-X 9:5", (41.6,)),
)

# PAPER: Table 4 finds 9:5 best on the 28-layer model; its cells are not known.
BEST_SPLIT = PublishedRow("Uni-X 9:5 is best", (None,), SECOND_HAND)


def benchmark_name(benchmark: str) -> str:
    """The name that the field writes: `geneval` -> `GenEval`."""
    return (TEXT_BENCHMARKS | MULTIMODAL_BENCHMARKS).get(benchmark, benchmark.replace("_", " ").capitalize())


def published_rows(published: Sequence[PublishedRow], keys: Sequence[str], column: str) -> pd.DataFrame:
    """Rows of a table as tidy rows, with what each value is of in `column`."""
    return pd.DataFrame(
        [
            {"origin": "published", "certainty": row.certainty, "model": row.model, column: key, "value": value}
            for row in published
            for key, value in zip(keys, row.values, strict=True)
            if value is not None
        ]
    )


def published_entropy() -> pd.DataFrame:
    """Fig. 2 as tidy rows: source, modality, order, value (bits)."""
    rows = [
        {"source": source, "modality": "image" if source.startswith("Image") else "text", "order": order, "value": bits}
        for order, values in ENTROPY_BITS.items()
        for source, bits in zip(ENTROPY_SOURCES, values, strict=True)
        if bits is not None
    ]
    return pd.DataFrame(rows)

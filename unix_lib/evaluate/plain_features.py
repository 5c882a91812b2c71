"""Plain statistics of an image's pixels: what two sets of images are compared by where no model is brought.

They see colours, where they are, and how much detail there is, and know nothing of what an image shows.
"""

import numpy as np

GRID = 4  # cells on a side whose mean colours are taken
FEATURES = 3 * GRID * GRID + 3 + 6


def plain_features(images: np.ndarray) -> np.ndarray:
    """float32 (N, FEATURES) of uint8 images (N, S, S, 3): each cell's mean colour, spreads, and mean differences.

    All on the scale 0..1. The differences are between neighbours across and down, by channel.
    """
    levels = images.astype(np.float32) / 255
    side = images.shape[1]
    edges = [round(side * cell / GRID) for cell in range(GRID + 1)]
    cells = [
        levels[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]].mean(axis=(1, 2))
        for row in range(GRID)
        for column in range(GRID)
    ]
    across, down = (np.abs(np.diff(levels, axis=axis)).mean(axis=(1, 2)) for axis in (2, 1))
    return np.concatenate([*cells, levels.std(axis=(1, 2)), across, down], axis=1)

"""Colours of the scenes: GenEval's ten, as RGB, far enough apart to be told from pixels.

The trade-off: pure primaries would be farther apart, but pink and brown must not fall between others. The smallest
distance between any two, background included, is kept above `SMALLEST_DISTANCE` by a test.
"""

# The ten names are those that GenEval's colour classifier chooses from.
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (220, 20, 20),
    "orange": (255, 130, 0),
    "yellow": (250, 230, 0),
    "green": (0, 150, 40),
    "blue": (20, 60, 220),
    "purple": (130, 0, 160),
    "pink": (255, 105, 180),
    "brown": (110, 65, 20),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
}

# Told from grey, and from each other, by hue alone, in whatever light: brown is dark orange.
BY_HUE = ("red", "orange", "yellow", "green", "blue", "purple", "pink")

BACKGROUND = (200, 200, 200)

# Euclidean, in RGB units of 0..255.
SMALLEST_DISTANCE = 90.0

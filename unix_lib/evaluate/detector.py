"""A detector that reads colour, shape, size and place of objects from the pixels of an image, nothing else.

In: an image of plain objects on a plain background, as rendered, blurred by an image tokenizer, or garbage. Out:
objects with a confidence. Every pixel is explained as a mixture of the background and one colour; each colour's
share of cover is compared with templates of every shape and size at every place; the best explanations win.

S side of an image, C colours, T templates. The templates come from the renderer, so a new shape needs no new
code here. What this can't do: overlapping objects, textures, shading.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from unix_lib.sources.shapes.palette import BACKGROUND, COLORS
from unix_lib.sources.shapes.scenes import SHAPES, SIZES, SceneObject, covered, radius_of

# ASSUME: a rendered object scores above 0.95, one blurred by the tokenizer above 0.8, a chance patch of noise below
# 0.6 (tests and the ceiling's scores measure all three).
MIN_CONFIDENCE = 0.7
MOST_OVERLAP = 0.25  # of a template's area that may lie under a more certain object
MAX_OBJECTS = 16
# Two colours' mixtures with the background are told apart when their distances to a pixel differ by this, in RGB
# levels: the noise of a small VQGAN's reconstruction.
COLOR_NOISE = 24.0
LEAST_BACKGROUND = 0.2  # share of an image; three large objects leave 0.58. Less is no scene, and nothing is seen in it


@dataclass(frozen=True)
class Template:
    """Cover (0..1) of one shape at one size over its bounding box, float32 (h, w)."""

    shape: str
    size: str
    cover: np.ndarray


@dataclass(frozen=True)
class Detection:
    """One object; box is left, top, right, bottom in pixels, right and bottom exclusive."""

    shape: str
    color: str
    size: str
    box: tuple[int, int, int, int]
    confidence: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    def __str__(self) -> str:
        x, y = self.centre
        return f"{self.size} {self.color} {self.shape} at ({x:g}, {y:g}), confidence {self.confidence:.2f}"


class Detector:
    """Finds objects of known shapes, sizes and colours on a plain background."""

    def __init__(
        self,
        image_size: int,
        background: tuple[int, int, int],
        colors: dict[str, tuple[int, int, int]],
        templates: list[Template],
    ) -> None:
        """Prepare the templates.

        Args:
            image_size: S, pixels.
            background: RGB of an image without objects.
            colors: RGB by name.
            templates: one per shape and size.
        """
        self.image_size = image_size
        self.background = np.array(background, dtype=np.float32)
        self.color_names = list(colors)
        self._directions = np.array(list(colors.values()), dtype=np.float32) - self.background  # (C, 3)
        self.templates = templates
        # Surroundings that must be empty: an object's neighbours stand at least about this far away.
        self._margin = max(1, round(image_size / 32))
        boxes = list(dict.fromkeys(template.cover.shape for template in templates))
        largest = max(max(box) for box in boxes) + 2 * self._margin
        self._side = fft.next_fast_len(image_size + largest, real=True)
        self._template_spectra = np.stack([self._spectrum(template.cover) for template in templates])
        self._template_energy = np.array([float((template.cover**2).sum()) for template in templates])
        windows = [np.ones(np.add(box, 2 * self._margin), np.float32) for box in boxes]
        self._window_spectra = np.stack([self._spectrum(window) for window in windows])
        self._window_of_template = [boxes.index(template.cover.shape) for template in templates]

    @classmethod
    def for_scenes(cls, image_size: int) -> "Detector":
        """The detector of every shape, size and colour that the `shapes` source can draw."""
        templates = []
        for shape in SHAPES:
            for size in SIZES:
                radius = radius_of(size, image_size)
                thing = SceneObject(next(iter(COLORS)), shape, size, radius, radius, radius)
                templates.append(Template(shape, size, covered(thing, 2 * radius).astype(np.float32)))
        return cls(image_size, BACKGROUND, COLORS, templates)

    def _spectrum(self, cover: np.ndarray) -> np.ndarray:
        """Conjugate spectrum, so that a product with an image's gives the correlation."""
        return np.asarray(np.conj(fft.rfft2(cover, (self._side, self._side))))

    def presence(self, offset: np.ndarray) -> np.ndarray:
        """How much of anything each pixel shows, in units of each colour's contrast, float32 (C, S, S), 0..1."""
        contrast2 = (self._directions**2).sum(axis=1)
        distance2 = (offset**2).sum(axis=-1)
        distance2[distance2 < COLOR_NOISE**2] = 0.0
        return np.asarray(np.sqrt(np.minimum(distance2 / contrast2[:, None, None], 1.0)))

    def cover(self, offset: np.ndarray) -> np.ndarray:
        """Each colour's share of each pixel, float32 (C, S, S).

        A pixel lies near the line from the background to its colour; how far along is its cover. Colours whose
        line is farther away than the nearest one's get exponentially less of it.

        Args:
            offset: float32 (S, S, 3), image minus background.
        """
        length2 = (self._directions**2).sum(axis=1)  # (C,)
        share = np.clip(np.einsum("yxk,ck->cyx", offset, self._directions) / length2[:, None, None], 0.0, 1.0)
        distance2 = ((offset[None] - share[..., None] * self._directions[:, None, None]) ** 2).sum(axis=-1)
        excess = distance2 - distance2.min(axis=0)
        fit = np.exp(-(excess + 0.25 * distance2) / COLOR_NOISE**2)
        return np.asarray(share * fit, dtype=np.float32)

    def _background_of(self, image: np.ndarray) -> np.ndarray | None:
        """The median of the pixels near the nominal background; None where there are too few for a scene."""
        near = np.abs(image.astype(np.float32) - self.background).max(axis=-1) < 2 * COLOR_NOISE
        if near.mean() < LEAST_BACKGROUND:
            return None
        return np.median(image[near], axis=0).astype(np.float32)

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Objects in an image, most certain first.

        Args:
            image: uint8 (S, S, 3).

        Raises:
            ValueError: an image of another size.
        """
        if image.shape != (self.image_size, self.image_size, 3):
            raise ValueError(f"image of shape {image.shape}, the detector was made for {self.image_size} px and RGB")
        background = self._background_of(image)
        if background is None:
            return []
        offset = image.astype(np.float32) - background
        cover = self.cover(offset)  # (C, S, S)
        # A colour with too little cover for the smallest template can't reach the threshold.
        colors = np.flatnonzero(cover.sum(axis=(1, 2)) > 0.5 * self._template_energy.min())
        if not len(colors):
            return []
        scores = self._scores(cover[colors], self.presence(offset)[colors])  # (C', T, S, S)
        # A place is a candidate where no neighbouring place scores higher.
        peaks = (scores >= MIN_CONFIDENCE) & (scores == ndimage.maximum_filter(scores, size=(1, 1, 3, 3)))
        places = np.argwhere(peaks)
        places = places[np.argsort(-scores[peaks], kind="stable")]
        taken = np.zeros((self.image_size, self.image_size), dtype=bool)
        found: list[Detection] = []
        for color, index, top, left in places.tolist():
            template = self.templates[index]
            height, width = template.cover.shape
            solid = template.cover >= 0.5
            region = taken[top : top + height, left : left + width]
            if (region & solid).sum() > MOST_OVERLAP * solid.sum():
                continue
            region |= solid
            found.append(
                Detection(
                    shape=template.shape,
                    color=self.color_names[colors[color]],
                    size=template.size,
                    box=(left, top, left + width, top + height),
                    confidence=round(min(float(scores[color, index, top, left]), 1.0), 4),
                )
            )
            if len(found) == MAX_OBJECTS:
                break
        return found

    def _scores(self, cover: np.ndarray, presence: np.ndarray) -> np.ndarray:
        """Dice agreement 2 sum(a t) / (sum(p^2) + sum(t^2)) of cover a and template t, float32 (C, T, S, S).

        The presence p of anything is summed over the template's box and a margin around it: whatever sticks out,
        of this colour or another, counts against. Places where a template would leave the image score 0.
        """
        size, margin = self.image_size, self._margin
        spectra = fft.rfft2(cover, (self._side, self._side))[:, None]
        common = fft.irfft2(spectra * self._template_spectra, (self._side, self._side))[..., :size, :size]
        padded = np.pad(presence**2, ((0, 0), (margin, margin), (margin, margin)))
        energy_spectra = fft.rfft2(padded, (self._side, self._side))[:, None]
        energy = fft.irfft2(energy_spectra * self._window_spectra, (self._side, self._side))[..., :size, :size]
        energy = energy[:, self._window_of_template]
        scores = 2 * common / (np.maximum(energy, 0) + self._template_energy[:, None, None])
        for index, template in enumerate(self.templates):
            height, width = template.cover.shape
            scores[:, index, size - height + 1 :] = 0
            scores[:, index, :, size - width + 1 :] = 0
        return np.asarray(scores, dtype=np.float32)

"""A detector that reads colour, shape, size and place of objects from the pixels of an image, nothing else.

It takes plain objects on a plain background, as rendered, blurred by an image tokenizer, or garbage. Shape, size and
place come first, from how much each pixel differs from the background, compared with templates of every shape and size
at every place; then the colour of what stands there, as GenEval's judge does it. The templates come from the renderer,
so a new shape needs no new code here.

Where scenes have textures, it sees chroma relative to brightness (`chroma`), in which leaves are grey and shaded
objects are not, and so only the colours that are told by hue.

What this can't do: overlapping objects, other textures. S side of an image, T templates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from unix_lib.judges.judge import Colored, Detection, Images, NoVerdict
from unix_lib.judges.scene_answers import answer_to
from unix_lib.judges.scene_detector import SceneDetector
from unix_lib.sources.shapes.palette import BACKGROUND, BY_HUE, COLORS, SMALLEST_DISTANCE
from unix_lib.sources.shapes.scenes import SHAPES, SIZES, SceneObject, covered, radius_of

# ASSUME: 0.8 keeps what a person would name in reconstructions, and sees something in one of five images decoded from
# random codes, which do hold blobs; at 0.7 it is four of five (measured with the VQGAN of the laptop experiment).
MIN_CONFIDENCE = 0.8
LEAST_AGREEMENT = 0.5  # share of an object's pixels that are nearest to its colour; less is a patchwork
MOST_OVERLAP = 0.25  # of a template's area that may lie under a more certain object
MOST_AROUND = 0.4  # mean presence in the frame around an object; more is a piece of something larger
MAX_OBJECTS = 16
LEAST_BACKGROUND = 0.2  # share of an image; three large objects leave 0.58. Less is no scene, and nothing is seen in it
LEAST_CONTRAST = SMALLEST_DISTANCE / 2  # RGB levels from the background that an object reaches somewhere
NOISE = SMALLEST_DISTANCE / 4  # RGB levels from the background that mean nothing
DARKNESS = 40  # RGB levels at which a hue is half as sure as in full light


def open_detector(settings: SceneDetector, image_size: int) -> "Detector":
    """The judge of images of `image_size` pixels a side."""
    return Detector.for_scenes(image_size, textured=settings.textured)


def chroma(pixels: np.ndarray) -> np.ndarray:
    """RGB float32 (..., 3) without its grey part, relative to brightness: the same in light and in shade."""
    grey = pixels.mean(axis=-1, keepdims=True)
    return np.asarray(255 * (pixels - grey) / (pixels.max(axis=-1, keepdims=True) + DARKNESS), dtype=np.float32)


@dataclass(frozen=True)
class Template:
    """Cover (0..1) of one shape at one size over its bounding box, float32 (h, w)."""

    shape: str
    size: str
    cover: np.ndarray


class Detector:
    """Finds objects of known shapes, sizes and colours on a background without colour."""

    def __init__(
        self,
        image_size: int,
        background: tuple[int, int, int],
        colors: dict[str, tuple[int, int, int]],
        templates: list[Template],
        seen: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        """Prepare the templates, one per shape and size; background and colours by name are RGB.

        `seen` is what it sees of pixels, RGB float32 (..., 3): as they are, or their `chroma`.
        """
        self.image_size, self._seen = image_size, seen
        self.background = seen(np.array(background, dtype=np.float32))
        self.color_names = list(colors)
        self.colors = seen(np.array(list(colors.values()), dtype=np.float32))  # (C, 3)
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
    def for_scenes(cls, image_size: int, *, textured: bool = False) -> "Detector":
        """The detector of every shape, size and colour that the `shapes` source can draw, flat or with textures."""
        templates = []
        for shape in SHAPES:
            for size in SIZES:
                radius = radius_of(size, image_size)
                thing = SceneObject(next(iter(COLORS)), shape, size, radius, radius, radius)
                templates.append(Template(shape, size, covered(thing, 2 * radius).astype(np.float32)))
        if textured:
            return cls(image_size, BACKGROUND, {name: COLORS[name] for name in BY_HUE}, templates, chroma)
        return cls(image_size, BACKGROUND, COLORS, templates)

    def _spectrum(self, cover: np.ndarray) -> np.ndarray:
        """Conjugate spectrum, so that a product with an image's gives the correlation."""
        return np.asarray(np.conj(fft.rfft2(cover, (self._side, self._side))))

    def presence(self, contrast: np.ndarray) -> np.ndarray:
        """How much of an object each pixel shows, float32 (S, S), 0..1.

        Contrast is judged against the strongest one nearby, so that the half-bright edge of a blurred object counts
        half, whatever the object's colour.

        Args:
            contrast: float32 (S, S), distance from the background in RGB levels.
        """
        reach = 2 * self._margin + 1
        strongest = ndimage.maximum_filter(contrast, size=2 * reach + 1)
        shown = np.where((contrast > NOISE) & (strongest > LEAST_CONTRAST), contrast, 0.0)
        return np.asarray(shown / np.maximum(strongest, 1.0), dtype=np.float32)

    def color_of(self, pixels: np.ndarray, weights: np.ndarray, background: np.ndarray) -> tuple[str, float]:
        """The colour nearest to the weighted mean of pixels, and the weight of the pixels that are nearest to it.

        A colour stands for its mixtures with up to half of background, so that fading and blur don't change it.

        Args:
            pixels: float32 (n, 3), RGB.
            weights: float32 (n,).
            background: float32 (3,), RGB.
        """
        mean = (pixels * weights[:, None]).sum(axis=0, keepdims=True) / weights.sum()
        offsets = np.concatenate([mean, pixels])[:, None] - background  # (1 + n, 1, 3)
        directions = self.colors - background  # (C, 3)
        share = np.clip((offsets * directions).sum(axis=2) / (directions**2).sum(axis=1), 0.5, 1.0)  # (1 + n, C)
        nearest = ((offsets - share[..., None] * directions) ** 2).sum(axis=2).argmin(axis=1)
        return self.color_names[nearest[0]], float(weights[nearest[1:] == nearest[0]].sum() / weights.sum())

    def _background_of(self, image: np.ndarray) -> np.ndarray | None:
        """The median of the pixels near the nominal background; None where there are too few for a scene."""
        near = np.abs(image - self.background).max(axis=-1) < 2 * NOISE
        if near.mean() < LEAST_BACKGROUND:
            return None
        return np.asarray(np.median(image[near], axis=0), dtype=np.float32)

    def objects(self, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
        """See `ObjectFinder`; raises what `detect` does."""
        return [self.detect(image) for image in images]

    def answer(self, images: Images, questions: Sequence[str]) -> list[str]:
        """See `QuestionAnswerer`: of a question of the `shapes` source; raises what `detect` does."""
        return [answer_to(question, self.detect(image)) for image, question in zip(images, questions, strict=True)]

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Objects in an image, uint8 (S, S, 3), most certain first.

        Raises:
            NoVerdict: an image of another size.
        """
        if image.shape != (self.image_size, self.image_size, 3):
            shape = f"image of shape {image.shape}, the detector was made for {self.image_size} px and RGB"
            raise NoVerdict("wrong image size", shape)
        pixels = self._seen(image.astype(np.float32))
        background = self._background_of(pixels)
        if background is None:
            return []
        presence = self.presence(np.sqrt(((pixels - background) ** 2).sum(axis=-1)))
        scores = self._scores(presence)  # (T, S, S)
        # A place is a candidate where no neighbouring place scores higher.
        peaks = (scores >= MIN_CONFIDENCE) & (scores == ndimage.maximum_filter(scores, size=(1, 3, 3)))
        places = np.argwhere(peaks)
        places = places[np.argsort(-scores[peaks], kind="stable")]
        taken = np.zeros((self.image_size, self.image_size), dtype=bool)
        found: list[Detection] = []
        for index, top, left in places.tolist():
            template = self.templates[index]
            height, width = template.cover.shape
            box = np.s_[top : top + height, left : left + width]
            solid = template.cover >= 0.5
            if (taken[box] & solid).sum() > MOST_OVERLAP * solid.sum():
                continue
            if self._surroundings(presence, top, left, height, width) > MOST_AROUND:
                continue
            # Squared: an object's colour is that of its middle, its edges are half background.
            color, agreement = self.color_of(pixels[box][solid], presence[box][solid] ** 2, background)
            confidence = min(float(scores[index, top, left]), 1.0) * (1 + agreement) / 2
            if agreement < LEAST_AGREEMENT or confidence < MIN_CONFIDENCE:
                continue
            taken[box] |= solid
            place = (left, top, left + width, top + height)
            found.append(Detection(template.shape, color, place, round(confidence, 4), template.size))
            if len(found) == MAX_OBJECTS:
                break
        return sorted(found, key=lambda one: -one.confidence)

    def _surroundings(self, presence: np.ndarray, top: int, left: int, height: int, width: int) -> float:
        """Mean presence in the frame one margin away from a box, where no object of a scene may be."""
        far, near = 2 * self._margin, self._margin
        padded = np.pad(presence, far)
        outer = padded[top : top + height + 2 * far, left : left + width + 2 * far]
        inner = outer[near:-near, near:-near]
        inside = np.pad(np.ones_like(presence), far)[top : top + height + 2 * far, left : left + width + 2 * far]
        pixels = inside.sum() - inside[near:-near, near:-near].sum()
        return float((outer.sum() - inner.sum()) / max(pixels, 1.0))

    def _scores(self, presence: np.ndarray) -> np.ndarray:
        """Dice agreement 2 sum(p t) / (sum(p^2) + sum(t^2)) of presence p and template t, float32 (T, S, S).

        p^2 is summed over the template's box and a margin around it, so what sticks out counts against. Places where
        a template would leave the image score 0.
        """
        size, margin, shape = self.image_size, self._margin, (self._side, self._side)
        common = fft.irfft2(fft.rfft2(presence, shape) * self._template_spectra, shape)[..., :size, :size]
        energy = fft.irfft2(fft.rfft2(np.pad(presence**2, margin), shape) * self._window_spectra, shape)
        energy = energy[self._window_of_template, :size, :size]
        scores = 2 * common / (np.maximum(energy, 0) + self._template_energy[:, None, None])
        for index, template in enumerate(self.templates):
            height, width = template.cover.shape
            scores[index, size - height + 1 :] = 0
            scores[index, :, size - width + 1 :] = 0
        return np.asarray(scores, dtype=np.float32)

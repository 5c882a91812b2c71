"""Opens the detector of every shape, size and colour that the `shapes` source can draw."""

from unix_lib.judges.detector import Detector
from unix_lib.judges.scene_detector import SceneDetector


def open_detector(settings: SceneDetector, image_size: int) -> Detector:
    """The judge of images of `image_size` pixels a side."""
    return Detector.for_scenes(image_size)

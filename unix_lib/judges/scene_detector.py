"""The judge `scene_detector`: finds plain objects on a plain background, as the `shapes` source draws them."""

from typing import Literal

from unix_lib.config.evaluate import JudgeKind, JudgeSettings


class SceneDetector(JudgeSettings):
    """Reads rendered scenes from pixels; it must prove itself on a source's own scenes first."""

    kind: Literal["scene_detector"]


KIND = JudgeKind(
    settings=SceneDetector,
    open="unix_lib.judges.detector:open_detector",
    logic_version=1,
    answers=("objects", "question"),
)

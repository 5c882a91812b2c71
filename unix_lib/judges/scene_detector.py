"""The judge `scene_detector`: finds objects as the `shapes` source draws them, flat or with textures."""

from typing import Literal

from unix_lib.config.evaluate import JudgeKind, JudgeSettings
from unix_lib.config.strict import key


class SceneDetector(JudgeSettings):
    """Reads rendered scenes from pixels; it must prove itself on a source's own scenes first."""

    kind: Literal["scene_detector"]
    textured: bool = key(
        "sees hue, not brightness, as scenes with `texture` need it; tells only the colours that such scenes may have",
        False,
        sparse=True,
    )


KIND = JudgeKind(
    settings=SceneDetector,
    open="unix_lib.judges.detector:open_detector",
    logic_version=1,
    answers=("objects", "question"),
)

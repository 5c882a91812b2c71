"""The judge `mask2former`: finds COCO's classes in photographs, and reads colours with CLIP, as GenEval's judge does.

The published scores come from mmdet's Mask2Former. This one has the same architecture and post-processing with weights
of another training run, so scores name their detector and the protocol `geneval_hf`: they are not to be mixed.
"""

from pathlib import Path
from typing import Literal

from unix_lib.config.evaluate import Confidences, JudgeKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import StrictModel, key
from unix_lib.judges.pretrained import JudgeModel


class DetectorModel(JudgeModel):
    """Where the detector is."""

    path: str = key("local folder or hub id", "facebook/mask2former-swin-small-coco-instance", min_length=1)


class ColorModel(JudgeModel):
    """Where CLIP is."""

    path: str = key("local folder or hub id", "openai/clip-vit-large-patch14", min_length=1)


class KnownImage(ReadsOutside, StrictModel):
    """A picture that the detector must read before it may judge; wrong weights are found out by it, not by zeros."""

    path: str | None = key("picture of your own; null is a portrait, sample data of matplotlib's", None)
    shows: str = key("class of GenEval's of what it is most confident of in it", "person")
    # ASSUME: a detector that works is this sure of a portrait that fills its picture.
    confidence: float = key("how confident it must be of that at least", 0.9, ge=0, le=1)

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return None if self.path is None else outside.files([Path(self.path)])


class Mask2FormerJudge(Confidences):
    """Mask2Former, COCO's instances, and CLIP, both as transformers has them, with mmdet's post-processing."""

    kind: Literal["mask2former"]
    detector: DetectorModel = key("a Mask2FormerForUniversalSegmentation of COCO's 80 classes", DetectorModel())
    clip: ColorModel = key("a CLIPModel, which reads colours", ColorModel())
    # PAPER: GenEval's code.
    confidence: float | None = key("objects count that it is more confident of, 0..1; null counts all", 0.3, ge=0, le=1)
    counting_confidence: float | None = key(
        "the same for GenEval's prompts that ask for a number of objects; null is as `confidence`", 0.9, ge=0, le=1
    )
    known_image: KnownImage | None = key(
        "what it must read first, beside plain colours; null checks nothing, and its scores say so", KnownImage()
    )
    batch_size: int = key("images that it is shown together", 4, kind="operational", ge=1, le=4096)
    device: str = key("cpu, cuda, or auto: a GPU where there is one", "auto", kind="operational")

    protocol = "geneval_hf"

    @property
    def at_once(self) -> int:  # type: ignore[override]
        return self.batch_size

    def model_name(self) -> str:
        return f"{self.detector.name} {self.clip.name}" + " unchecked" * (self.known_image is None)

    def needs(self, name: str) -> list[Need]:
        path = self.known_image and self.known_image.path
        pictures = [Need(f"judge {name}: {path}", local=Path(path))] if path else []
        return [self.detector.need(name), self.clip.need(name), *pictures]


KIND = JudgeKind(
    settings=Mask2FormerJudge,
    open="unix_lib.judges.mask2former_detector:open_detector",
    logic_version=1,
    answers=("objects",),
)

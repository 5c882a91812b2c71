"""The judge `image_text`: an image-text model of transformers' that answers questions about images."""

from typing import Literal

from unix_lib.config.evaluate import JudgeKind, JudgeSettings
from unix_lib.config.needs import Need
from unix_lib.config.strict import key
from unix_lib.judges.pretrained import JudgeModel


class AnswererModel(JudgeModel):
    """Where the model is."""


class ImageTextJudge(JudgeSettings):
    """Any model of `AutoModelForImageTextToText`, asked without sampling through its chat template or a prompt."""

    kind: Literal["image_text"]
    model: AnswererModel = key("the model, with its processor")
    prompt: str | None = key(
        "what is asked in place of the chat template, with {question} in it and the image's token as the model has it",
        None,
        pattern=r"\{question\}",
    )
    max_tokens: int = key("longest answer, tokens", 32, ge=1, le=4096)
    precision: Literal["float32", "bf16"] = key("type of its weights", "float32")
    batch_size: int = key("questions that it is asked together", 8, kind="operational", ge=1, le=4096)
    device: str = key("cpu, cuda, or auto: a GPU where there is one", "auto", kind="operational")

    @property
    def at_once(self) -> int:  # type: ignore[override]
        return self.batch_size

    def model_name(self) -> str:
        return self.model.name

    def needs(self, name: str) -> list[Need]:
        return [self.model.need(name)]


KIND = JudgeKind(
    settings=ImageTextJudge,
    open="unix_lib.judges.image_text_runner:ImageTextRunner",
    logic_version=1,
    answers=("question",),
)

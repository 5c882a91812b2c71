"""The judge `endpoint`: a model behind an HTTP address."""

from typing import Literal

from unix_lib.config.endpoints import Patience
from unix_lib.config.evaluate import Confidences, JudgeKind
from unix_lib.config.strict import key


class EndpointJudge(Confidences, Patience):
    """Questions go to an OpenAI-compatible chat completion, requests for objects as this project's own JSON."""

    kind: Literal["endpoint"]
    url: str = key("whole address: .../v1/chat/completions for questions, your own for objects", pattern="^https?://")
    model: str = key("name of the model, for questions; name its version where it has one", "")

    concurrency: int = key("requests under way at a time", 1, kind="operational", ge=1, le=1024)

    @property
    def at_once(self) -> int:  # type: ignore[override]
        return self.concurrency

    def model_name(self) -> str:
        return self.model


KIND = JudgeKind(
    settings=EndpointJudge,
    open="unix_lib.judges.endpoint_runner:EndpointRunner",
    logic_version=1,
    answers=("objects", "question", "words"),
)

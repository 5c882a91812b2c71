"""The judge `endpoint`: a model behind an HTTP address."""

from typing import Literal

from unix_lib.config.evaluate import JudgeKind, JudgeSettings
from unix_lib.config.strict import key


class EndpointJudge(JudgeSettings):
    """Questions go to an OpenAI-compatible chat completion, requests for objects as this project's own JSON."""

    kind: Literal["endpoint"]
    url: str = key("whole address: .../v1/chat/completions for questions, your own for objects", pattern="^https?://")
    model: str = key("name of the model, for questions; name its version where it has one", "")
    key_variable: str | None = key("environment variable that holds the key", None, kind="operational")
    seconds: float = key("longest wait for one answer", 120.0, kind="operational", gt=0, le=604_800)
    attempts: int = key("how often a request is made where the endpoint is busy", 6, kind="operational", ge=1, le=1000)


KIND = JudgeKind(
    settings=EndpointJudge,
    open="unix_lib.judges.endpoint_runner:EndpointRunner",
    logic_version=1,
    answers=("objects", "question"),
)

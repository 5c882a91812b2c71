"""How patient a job is with a model behind an HTTP address; none of it changes an answer."""

from unix_lib.config.strict import StrictModel, key


class Patience(StrictModel):
    """The key to an endpoint, and what is done where it is busy."""

    key_variable: str | None = key("environment variable that holds the key", None, kind="operational")
    seconds: float = key("longest wait for one answer", 120.0, kind="operational", gt=0, le=604_800)
    attempts: int = key("how often a request is made where the endpoint is busy", 6, kind="operational", ge=1, le=1000)

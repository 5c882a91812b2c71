"""What goes wrong with an endpoint, without its address: whoever asks says what it was asked for."""

from unix_lib.artefacts.errors import UserError


class EndpointError(UserError):
    """An endpoint that gives no answer."""


class NoKey(EndpointError):
    """The environment has no key where one is named."""


class NoAnswer(EndpointError):
    """It is busy, broken or away, for longer than is waited."""


class Refused(EndpointError):
    """It refuses the request, and would do so again."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"refused with status {status} ({said})")
        self.status = status

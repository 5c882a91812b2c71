"""One server for all tests that break none of its limits."""

from collections.abc import Iterator

import pytest

from tests.serve.running import RunningServer, running_server
from unix_lib.serve import process
from unix_lib.serve.settings import Limits

LIMITS = Limits(
    body_bytes=300_000, images=2, pixels=100_000, outputs=3, queue=20, held_bytes=2_000_000, body_seconds=0.5
)


@pytest.fixture(scope="session")
def one_server() -> Iterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch, running_server(LIMITS, workers=2) as running:
        patch.setattr(process, "LONGEST_WAIT", 0.05)
        yield running


@pytest.fixture
def server(one_server: RunningServer) -> Iterator[RunningServer]:
    """Afterwards it holds nothing of what the test asked."""
    yield one_server
    one_server.wait_until_idle()

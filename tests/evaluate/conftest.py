"""The small experiment, once for all tests of a session; their jobs have recipes of their own."""

import pytest

from tests.evaluate.small import DECODER, SHAPE, SmallExperiment

__all__ = ["DECODER", "SHAPE", "SmallExperiment"]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallExperiment:
    return SmallExperiment(tmp_path_factory.mktemp("results") / "small")

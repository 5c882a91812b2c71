"""The small experiment, whose scenes judges read."""

from tests.evaluate.conftest import small

__all__ = ["small"]

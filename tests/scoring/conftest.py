"""The small experiment, whose checkpoint is scored."""

from tests.evaluate.conftest import small

__all__ = ["small"]

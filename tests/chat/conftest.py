"""The small experiment, whose checkpoint draws and answers."""

from tests.evaluate.conftest import small

__all__ = ["small"]

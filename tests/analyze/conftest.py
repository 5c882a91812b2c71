"""The small experiment, whose checkpoint answers."""

from tests.evaluate.conftest import small

__all__ = ["small"]

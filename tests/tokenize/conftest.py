"""The small experiment of the tests of packing, made once, and its tokenizer."""

from tests.pack.conftest import experiment, tokenizer

__all__ = ["experiment", "tokenizer"]

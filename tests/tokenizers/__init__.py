"""Tests of the tokenizers and the vocabulary."""

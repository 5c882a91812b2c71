"""Evaluation: benchmarks of text, understanding and generation, with an interval on every score."""

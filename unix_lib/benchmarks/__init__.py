"""Benchmarks as files: what a checkpoint is asked, in the layouts of their authors, and what its answers are kept in."""

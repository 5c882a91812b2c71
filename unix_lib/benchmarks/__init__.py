"""Benchmarks as files: what a checkpoint is asked, in the layouts of their authors, and the tables of its answers."""

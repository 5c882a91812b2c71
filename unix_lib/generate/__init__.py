"""Checkpoints answer benchmarks: images drawn, questions answered, likelihoods; and what a user asks for by hand."""

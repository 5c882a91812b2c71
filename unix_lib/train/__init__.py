"""Training: a run is a chain of checkpoints, one job trains one segment of it."""

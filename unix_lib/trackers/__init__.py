"""Curves of a run as people watch them elsewhere: W&B, TensorBoard, trackio. None of them can stop or slow training."""

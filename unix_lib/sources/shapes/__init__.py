"""Synthetic scenes with ground truth: drawn, captioned, asked about, and split by combination."""

"""Reproduction of Uni-X (arXiv 2509.24365), from raw data to figures. Importing this imports nothing else."""

__version__ = "0.1.0"

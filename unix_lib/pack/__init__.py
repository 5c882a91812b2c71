"""Packing: records to token sequences, and sequences to packs of equal length."""

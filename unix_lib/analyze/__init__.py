"""Analyses: conditional entropy of the data, gradient conflict inside the models."""

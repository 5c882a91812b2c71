"""Recipes: an experiment's config resolved into one immutable JSON per job."""

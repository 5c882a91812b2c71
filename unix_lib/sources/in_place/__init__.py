"""Samples that lie in a user's files of rows: what is read of them, and where their images are, uncopied."""

"""Kinds outside the package, as docs/extending.md shows them."""

"""Texts in another language, from a model behind an endpoint, with all that it must not touch as it was."""

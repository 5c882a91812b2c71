"""Artefacts: folders of results that can prove where they came from and that they are whole."""

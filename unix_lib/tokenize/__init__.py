"""Texts of records to token ids, each once, in parts that run side by side."""

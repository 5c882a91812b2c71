"""Kinds of scorer: what each asks a checkpoint, and which function turns its answers into scores."""

"""Judges: what reads an image, behind one interface, here, under another interpreter or behind an endpoint."""

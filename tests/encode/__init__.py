"""Tests of encoding images into codes."""

"""Tar shards of images and captions, read in place."""

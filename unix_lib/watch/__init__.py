"""What an experiment does at this moment, read from its results by whoever looks on; nothing is touched."""

"""Getting things: every file, model and data set that a config names, fetched once so that jobs run offline."""

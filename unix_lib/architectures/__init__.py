"""The architectures that are compared: the table of layer plans behind each, and what it costs. No torch."""

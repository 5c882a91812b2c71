"""Sets aside images of a source that look like another one of it, or like one of a benchmark."""

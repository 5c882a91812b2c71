"""Image files and pixels: what is read, within which limits, and what an image is called."""

"""Models behind HTTP addresses, as judges and translations ask them."""

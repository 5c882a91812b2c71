"""How fast the decoder is, beside transformers' own model and a plain loop: what `make benchmark-model` measures."""

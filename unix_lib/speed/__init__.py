"""How fast models train and decode, beside transformers' own model and a plain loop."""

"""Texts that a small text tokenizer learns from."""

CORPUS = ["The quick brown fox can't jump over 1234 lazy dogs.\n\n  Indented, it's said: «naïve»!", "红色的圆 🟥"] * 20

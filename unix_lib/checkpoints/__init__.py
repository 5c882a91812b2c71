"""A trained model's folder: found, checked, opened with the tokenizers it was trained with."""

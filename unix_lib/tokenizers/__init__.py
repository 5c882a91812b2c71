"""The text tokenizer, the image tokenizer and the vocabulary that joins their ids."""

"""The project's own kinds of text tokenizer, a line each."""

KINDS = {
    "train_bpe": "unix_lib.tokenizers.train_bpe",
    "pretrained": "unix_lib.tokenizers.pretrained_text",
}

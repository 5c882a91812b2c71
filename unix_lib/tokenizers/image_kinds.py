"""The project's own kinds of image tokenizer, a line each."""

KINDS = {
    "train_vqgan": "unix_lib.tokenizers.trained_vqgan",
    "pretrained": "unix_lib.tokenizers.pretrained_vqgan",
}

"""Make the text tokenizer, the image tokenizer or the vocabulary."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.tokenizers.make import make_tokenizer

if __name__ == "__main__":
    run_script(make_tokenizer, __doc__)

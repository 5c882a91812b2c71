"""Make the text tokenizer, the image tokenizer or the vocabulary."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("tokenizers", __doc__)

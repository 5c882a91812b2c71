"""Tokenize the texts of a source."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("tokenize", __doc__)

"""Pack one mixture's records into fixed-length sequences of tokens."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("pack", __doc__)

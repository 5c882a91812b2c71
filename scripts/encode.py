"""Encode a source's images into codes."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("encode", __doc__)

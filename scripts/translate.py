"""Translate a source's records or benchmarks."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("translate", __doc__)

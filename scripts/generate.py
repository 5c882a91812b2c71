"""Let one checkpoint answer a group of benchmarks."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("generate", __doc__)

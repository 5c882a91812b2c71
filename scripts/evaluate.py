"""Score one checkpoint's answers to a group of benchmarks, or measure the ceiling of a benchmark."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("evaluate", __doc__)

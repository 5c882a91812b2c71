"""Make one job of an analysis: conditional entropy of the data, or gradient conflict of a checkpoint."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("analyze", __doc__)

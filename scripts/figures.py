"""Draw one figure or table: CSV, PNG and PDF."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("figures", __doc__)

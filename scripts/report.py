"""Write the report: one page with every figure, and the final scores as JSON."""

from unix_lib.jobs.command_line import run_script

if __name__ == "__main__":
    run_script("report", __doc__)

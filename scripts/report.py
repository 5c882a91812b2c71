"""Write the report: one page with every figure, and the final scores as JSON."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.report.make import make_report

if __name__ == "__main__":
    run_script(make_report, __doc__)

"""Draw one figure or table: CSV, PNG and PDF."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.figures.make import make_figure

if __name__ == "__main__":
    run_script(make_figure, __doc__)

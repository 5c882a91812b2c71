"""Make one analysis: conditional entropy of the data, or gradient conflict of a checkpoint."""

from unix_lib.analyze.make import make_analysis
from unix_lib.artefacts.command_line import run_script

if __name__ == "__main__":
    run_script(make_analysis, __doc__)

"""Evaluate one checkpoint on a group of benchmarks, or measure the ceiling of a benchmark."""

from unix_lib.artefacts.command_line import run_script
from unix_lib.evaluate.make import make_evaluation

if __name__ == "__main__":
    run_script(make_evaluation, __doc__)

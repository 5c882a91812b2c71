"""`lm-eval`: lm-eval's own command line with the layer-plan decoder registered."""

import importlib
import sys


def run(arguments: list[str]) -> None:
    """Hand the arguments to lm-eval unchanged."""
    importlib.import_module("unix_lib.models")  # registers the model with transformers
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm-eval", *arguments]
    cli_evaluate()

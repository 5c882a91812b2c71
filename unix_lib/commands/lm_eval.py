"""`lm-eval`: lm-eval's own command line with the layer-plan decoder registered."""

import importlib
import os
import sys

from unix_lib.benchmarks.lm_eval_run import work_offline
from unix_lib.benchmarks.lm_eval_tasks import NotInCache

SECONDS_TO_CONNECT = 5.0


def run(arguments: list[str]) -> None:
    """Hand the arguments to lm-eval unchanged.

    Raises:
        BenchmarkError: a task whose data set is not here, where the hub can't be reached.
    """
    if not _hub_answers():
        work_offline()  # else a missing data set would be asked for again and again
    importlib.import_module("unix_lib.models")  # registers the model with transformers
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm-eval", *arguments]
    try:
        cli_evaluate()
    except ConnectionError as error:
        raise NotInCache("lm-eval: a task", error) from None


def _hub_answers() -> bool:
    import requests
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        requests.head(os.environ.get("HF_ENDPOINT", constants.ENDPOINT), timeout=SECONDS_TO_CONNECT)
    except requests.RequestException:
        return False
    return True

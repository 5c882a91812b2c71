"""Runs lm-eval's evaluation over a function that answers its requests: a model, or what a model answered before."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.lm_eval_tasks import Loaded

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

# From requests, whose `args` are (context, continuation), to (log-likelihood in nats, whether it is greedy).
Respond = Callable[[Sequence["Instance"]], list[tuple[float, bool]]]


def work_offline() -> None:
    """Keep Hugging Face's libraries from the network, which jobs don't have, unless `HF_HUB_OFFLINE` says otherwise.

    They look at the environment when they are first imported, which may be long ago: without this a job would ask for
    half a minute before it said that data are missing.
    """
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.setdefault(variable, "1")
    if os.environ["HF_HUB_OFFLINE"] == "1":
        from huggingface_hub import constants

        constants.HF_HUB_OFFLINE = True
        if "datasets" in sys.modules:
            sys.modules["datasets"].config.HF_HUB_OFFLINE = True


def run_zero_shot(loaded: Loaded, respond: Respond, limit: int | None) -> dict[str, list[Any]]:
    """Let lm-eval ask for everything that its tasks need; its record of each sample, by task. No tasks, no samples.

    Args:
        respond: called once, with the requests of all tasks in lm-eval's order.
        limit: only the first this many documents of each task.

    Raises:
        BenchmarkError: a task that is not scored by the likelihoods of choices.
    """
    if not loaded["tasks"]:
        return {}
    from lm_eval.api.model import LM  # importing these takes seconds
    from lm_eval.evaluator import evaluate

    class Responding(LM):  # type: ignore[misc]  # untyped
        def loglikelihood(self, requests: list["Instance"]) -> list[tuple[float, bool]]:
            return respond(requests)

        def loglikelihood_rolling(self, requests: list["Instance"]) -> list[float]:
            raise _other_kind(requests)

        def generate_until(self, requests: list["Instance"]) -> list[str]:
            raise _other_kind(requests)

    for noisy in ("lm_eval", "lm_eval.api.task", "lm_eval.evaluator", "lm_eval.models.huggingface"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    for each in loaded["tasks"].values():
        each.set_config(key="num_fewshot", value=0)  # PAPER: all five text tasks are zero-shot
    results = evaluate(Responding(), loaded, limit=limit, bootstrap_iters=0, log_samples=True)
    assert results is not None  # None only on ranks other than 0
    return dict(results["samples"])


def _other_kind(requests: Sequence["Instance"]) -> BenchmarkError:
    return BenchmarkError(
        f"lm-eval task '{requests[0].task_name}' asks for {requests[0].request_type}; this scorer reads tasks of "
        "choices, by their log-likelihoods"
    )

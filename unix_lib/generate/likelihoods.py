"""Lets a checkpoint answer a text benchmark of lm-eval: the log-likelihood of every continuation that it asks for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.lm_eval_run import run_zero_shot, work_offline
from unix_lib.benchmarks.lm_eval_tasks import data_sets_of, is_unspaced, load_cloze, load_registered
from unix_lib.benchmarks.settings import LikelihoodSettings
from unix_lib.benchmarks.tables import LIKELIHOODS, LIKELIHOODS_FILE
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.generate import DecodingExecution
from unix_lib.generate.members import asked_file, checkpoint_of, finish
from unix_lib.generate.store import SampleStore
from unix_lib.jobs.job import Job
from unix_lib.records.schema import Row
from unix_lib.tokenizers.text import encode_texts

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

BATCHES_KEPT = 32  # lm-eval sorts what it gets at once by length; more at once is faster, fewer lose less to a kill


def make_likelihoods(job: Job[LikelihoodSettings, DecodingExecution], checkpoint: Checkpoint | None = None) -> Manifest:
    """Make the likelihoods of `generate/<run>-step-00100-<benchmark>`.

    Raises:
        BenchmarkError: no such file or task, its data are not here, or it asks for something else than likelihoods.
    """
    work_offline()
    name, settings, batch_size = job.recipe.name, job.settings, job.execution.batch_size
    if settings.task is None:
        tasks, _ = load_cloze(name, asked_file(job, "cloze.jsonl"))  # scoring counts the lines set aside
    else:
        tasks = load_registered(settings.task)
    loaded = checkpoint or checkpoint_of([job])
    store = SampleStore(job.work, LIKELIHOODS)

    def respond(requests: Sequence["Instance"]) -> list[tuple[float, bool]]:
        store.fill(requests, lambda some: _likelihoods(loaded, some), batch_size=BATCHES_KEPT * batch_size, name=name)
        return [(row["log_likelihood"], row["is_greedy"]) for row in store.table().to_pylist()]

    run_zero_shot(tasks, respond, settings.limit)
    return finish(job, loaded, LIKELIHOODS_FILE, store.table(), data_sets=data_sets_of(tasks))


def _likelihoods(checkpoint: Checkpoint, requests: Sequence["Instance"]) -> list[Row]:
    """Rows of `LIKELIHOODS`, by lm-eval's own model class."""
    from lm_eval.models.huggingface import HFLM

    apart = {request.args for request in requests if is_unspaced(request.task_name)}

    class Model(HFLM):  # type: ignore[misc]  # untyped
        def tok_encode(self, string: str, *_: Any, **__: Any) -> list[int]:
            """Ids of a text, in which a special token spelled out is text."""
            return encode_texts(checkpoint.tokenizer, [string])[0]

        def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
            """Ids of both. Without a space between them a token may span the border, and leave no continuation."""
            if (context, continuation) in apart:
                return self.tok_encode(context), self.tok_encode(continuation)
            ids: tuple[list[int], list[int]] = super()._encode_pair(context, continuation)
            return ids

    model = Model(pretrained=checkpoint.model, tokenizer=checkpoint.tokenizer, batch_size=checkpoint.batch_size)
    return [
        {
            "context": request.args[0],
            "continuation": request.args[1],
            "log_likelihood": float(log_likelihood),
            "is_greedy": bool(is_greedy),
        }
        for request, (log_likelihood, is_greedy) in zip(requests, model.loglikelihood(list(requests)), strict=True)
    ]

"""Scores a model: the recipes of an experiment's evaluation, planned and made for this model alone.

A benchmark's answers have the recipe that the workflow gives them, so that what an experiment has answered already is
linked, and the other way round. They lie in a folder of their own, which is built like an experiment's results.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.checkpoints.open import require_same_codes, usable
from unix_lib.config import load_experiment
from unix_lib.config.analyze import Inputs
from unix_lib.config.brought import AskingExecution
from unix_lib.config.evaluate import EvaluateConfig, ScorerKind
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.kinds import find_kind
from unix_lib.config.outside import Outside
from unix_lib.generate.members import checkpoint_of
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.scores import plan_answers, plan_scores
from unix_lib.recipes.sharing import share
from unix_lib.recipes.workspace import write_jobs
from unix_lib.records.schema import Row
from unix_lib.scoring.benchmarks import all_benchmarks, chosen, generation, require_files
from unix_lib.scoring.bringing import bring
from unix_lib.scoring.errors import ScoringError
from unix_lib.scoring.lists import ScoredModel, ScoringList
from unix_lib.scoring.server import server_of
from unix_lib.scoring.subjects import Subjects

log = logging.getLogger(__name__)


@dataclass
class Scored:
    """What became of one model."""

    model: str
    rows: list[Row] = field(default_factory=list)  # of `scores.parquet`
    folders: dict[str, Path] = field(default_factory=dict)  # of scores, by benchmark
    faults: dict[str, UserError] = field(default_factory=dict)  # by benchmark that has none

    @contextmanager
    def noting(self, benchmark: str) -> Iterator[None]:
        """Note what is wrong with a benchmark, instead of ending for it."""
        try:
            yield
        except UserError as fault:
            log.warning("%s: %s: %s", self.model, benchmark, fault)
            self.faults[benchmark] = fault


@dataclass(frozen=True)
class Asked:
    """What is asked of all models alike."""

    wanted: ScoringList
    experiment: Experiment  # whose benchmarks they are
    benchmarks: EvaluateConfig
    results: Path

    @classmethod
    def of(cls, wanted: ScoringList, results: Path) -> "Asked":
        """What a list asks.

        Raises:
            ConfigError: its config can't be read, or has no benchmarks.
        """
        experiment = load_experiment(Path(wanted.config))
        return cls(wanted, experiment, all_benchmarks(wanted, experiment), results)

    @cached_property
    def planned(self) -> Plan:
        """The experiment's own plan."""
        return resolve(self.experiment, Path.cwd(), FileHashes.of_plan(self.made_at))

    @property
    def made_at(self) -> Path:
        """Where the experiment's own results are."""
        return self.results.parent / self.experiment.experiment


def score_model(model: ScoredModel, asked: Asked) -> Scored:
    """Let a model answer its benchmarks, and score the answers; one that can't be is noted, and stops no other.

    Raises:
        UserError: no such model, one that is damaged, or an unknown benchmark.
    """
    scored, config = Scored(model.called), chosen(model, asked.benchmarks)
    experiment = asked.experiment.model_copy(
        update={"generate": generation(model, asked.experiment.generate), "evaluate": config}
    )
    hashes = FileHashes.of_plan(asked.results)
    plan = Plan(experiment, outside=Outside(Path.cwd(), hashes))
    subjects = Subjects(model, plan, asked.results)
    scored.model = model.name or subjects.name
    answers: dict[str, str] = {}
    scores: dict[str, str] = {}
    for name, benchmark in config.benchmarks.items():
        with scored.noting(name):
            require_files(name, benchmark, asked.wanted.config)
            planned = plan if benchmark.source is None else asked.planned
            _bring(benchmark.inputs(planned) | benchmark.judging_inputs(planned), asked)
            subject = subjects.of(find_kind("scorer", benchmark.scorer, ScorerKind))
            answers[name] = plan_answers(plan, config, subject, name, planned)
            scores[name] = plan_scores(plan, config, subject, name, {name: answers[name]}, planned)
    hashes.save()
    write_jobs(plan, asked.results)
    share(plan, asked.results)
    jobs = {name: _job(plan, artefact, asked) for name, artefact in answers.items()}
    _answer(model, {name: job for name, job in jobs.items() if job.made() is None}, scored)
    for name, artefact in scores.items():
        if name not in scored.faults:
            with scored.noting(name):
                for judging in plan.jobs[artefact].recipe.in_role(f"judging:{name}"):
                    _job(plan, judging, asked).make()
                job = _job(plan, artefact, asked)
                job.make()
                scored.folders[name] = job.folder
                scored.rows += pq.read_table(job.folder / "scores.parquet").to_pylist()
    return scored


def _answer(model: ScoredModel, missing: dict[str, Job[Any, Any]], scored: Scored) -> None:
    """Make answers that are not there yet, with the checkpoint loaded once, or its server started once."""
    asking = {name: job for name, job in missing.items() if isinstance(job.execution, AskingExecution)}
    loading = {name: job for name, job in missing.items() if name not in asking}
    if asking:
        try:
            with server_of(model, next(iter(asking.values()))) as url:
                for name, job in asking.items():
                    with scored.noting(name):
                        job.execution = job.execution.model_copy(update={"url": url})
                        job.make()
        except ScoringError as fault:  # of the server
            scored.faults |= dict.fromkeys(asking, fault)
    if loading:
        usable(model.device)
        checkpoint = checkpoint_of(list(loading.values()))
        if any("image_tokenizer" in job.recipe.inputs for job in loading.values()):
            require_same_codes(checkpoint.image_tokenizer, checkpoint.vocabulary)
        for name, job in loading.items():
            with scored.noting(name):
                job.make(checkpoint)


def _job(plan: Plan, artefact: str, asked: Asked) -> Job[Any, Any]:
    planned = plan.jobs[artefact]
    job: Job[Any, Any] = Job.of(planned.recipe, asked.results, planned.execution)
    return job


def _bring(inputs: Inputs, asked: Asked) -> None:
    """Bring what the experiment made.

    Raises:
        ScoringError: it is not made.
    """
    for artefact in (each for made in inputs.values() for each in ([made] if isinstance(made, str) else made)):
        folder = asked.made_at / artefact
        if not (folder / MANIFEST).is_file():
            raise ScoringError(
                f"{folder} is not made; run the experiment of {asked.wanted.config} up to it, or give another --config"
            )
        bring(folder, asked.results)

"""A recipe is computed by the logic that it was planned with, or not at all."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from tests.outside import answer_lengths, last_word, poems
from unix_lib.artefacts.code import CodeError
from unix_lib.artefacts.recipe import Recipe
from unix_lib.config import kinds
from unix_lib.config.evaluate import JudgeKind, JudgeSettings, ScorerKind
from unix_lib.config.jobs import Execution
from unix_lib.config.kinds import JobKind, Kind, Sort, find_kind, known_kinds
from unix_lib.evaluate.make import make_scores
from unix_lib.jobs.job import Job
from unix_lib.jobs.job_kinds import FIXED, job_kind
from unix_lib.judges.judge import open_judge

# Stage and kind of the jobs of each sort, by the job's field.
NAMED = {
    ("source", "images"): "sources/{}/images",
    ("source", "records"): "sources/{}/records",
    ("source", "benchmarks"): "sources/{}/benchmarks",
    ("source", "screening"): "sources/{}/screening",
    ("source", "hashes"): "sources/{}/hashes",
    ("text tokenizer", "job"): "tokenizers/text/{}",
    ("image tokenizer", "job"): "tokenizers/image/{}",
    ("scorer", "generate"): "generate/{}",
    ("scorer", "ceiling"): "evaluate/ceiling/{}",
    ("scorer", "judging"): "evaluate/judging/{}",
    ("analysis", "job"): "analyze/{}",
    ("figure", "job"): "figures/{}",
}
OUTSIDE: dict[Sort, list[Any]] = {"source": [poems], "scorer": [last_word], "figure": [answer_lengths]}


def jobs_of_kinds() -> Iterator[str]:
    """`stage/kind` of every job that a kind of the registries, or one from outside, has."""
    for sort in get_args(Sort):
        for name in [*known_kinds(sort), *(module.__name__ for module in OUTSIDE.get(sort, []))]:
            kind = find_kind(sort, name, Kind)
            for part in {*(field.name for field in fields(kind)), "job"}:
                if isinstance(getattr(kind, part, None), JobKind):
                    yield NAMED[sort, part].format(name)
            if isinstance(kind, ScorerKind) and kind.asks_endpoints:
                yield f"generate/endpoint/{name}"


@pytest.mark.parametrize("job", sorted({*FIXED, *jobs_of_kinds()}))
@pytest.mark.parametrize("step", [-1, 1])
def test_a_job_of_another_logic_version_is_refused(tmp_path: Path, job: str, step: int) -> None:
    stage, _, kind = job.partition("/")
    own = job_kind(stage, kind).logic_version
    recipe = Recipe(stage, "some", kind, own + step, {})
    with pytest.raises(CodeError, match=f"{recipe.artefact} .*logic version {own + step}, .* has {own};"):
        Job[Any, Any].of(recipe, tmp_path, Execution())
    assert not (tmp_path / stage).exists()


@pytest.mark.parametrize("scorer", known_kinds("scorer"))
def test_answers_are_not_scored_by_a_scorer_of_another_logic_version(tmp_path: Path, scorer: str) -> None:
    own = find_kind("scorer", scorer, ScorerKind).logic_version
    settings = SimpleNamespace(scorer=scorer, scorer_version=own + 1)
    job: Any = SimpleNamespace(settings=SimpleNamespace(benchmarks={"some": settings}), folder=tmp_path)
    with pytest.raises(CodeError, match=f"scorer '{scorer}': .*logic version {own + 1}, .* has {own};"):
        make_scores(job)


@pytest.mark.parametrize("judge", known_kinds("judge"))
def test_no_judge_of_another_logic_version_is_asked(judge: str) -> None:
    own = find_kind("judge", judge, JudgeKind).logic_version
    with pytest.raises(CodeError, match=f"judge '{judge}': .*logic version {own - 1}, .* has {own};"):
        open_judge(JudgeSettings(kind=judge), own - 1, 32, {})


def test_code_that_changed_since_the_plan_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of somebody's own, changed between plan and job."""
    kind = poems.KIND
    recipe = Recipe("sources", "poems", f"{poems.__name__}/records", kind.records.logic_version, {})
    monkeypatch.setattr(poems, "KIND", replace(kind, records=replace(kind.records, logic_version=7)))
    assert kinds.find_kind("source", poems.__name__, Kind) is poems.KIND
    with pytest.raises(CodeError, match=r"tests\.outside\.poems:make_records.*has 7; run the workflow again"):
        Job[Any, Any].of(recipe, tmp_path, Execution())

"""Which jobs of a plan belong to a run."""

from typing import Protocol, runtime_checkable

from unix_lib.recipes.plan import Plan

OF_RUNS = ("train", "generate", "evaluate", "analyze")  # stages


@runtime_checkable
class OfRun(Protocol):
    """Settings of a job that belongs to a run."""

    run: str


def jobs_of_run(plan: Plan, run_name: str, *stages: str) -> list[str]:
    """Jobs of some stages that belong to a run."""
    settings = {artefact: plan.jobs[artefact].settings for artefact in plan.targets(*stages)}
    return [artefact for artefact, own in settings.items() if isinstance(own, OfRun) and own.run == run_name]

"""How much disk an artefact will take, where it takes much: weights, training states, packs and codes."""

from pathlib import Path

from unix_lib.config.pack import PackSettings
from unix_lib.config.strict import ConfigError
from unix_lib.config.train import CheckpointSettings
from unix_lib.recipes.costs import run_costs
from unix_lib.recipes.known_jobs import PlannedJobs
from unix_lib.recipes.mixture_tokens import mixture_tokens
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.work import things_of

STATE_BYTES = 16  # per parameter: a float32 weight with its two moments, and what DeepSpeed keeps beside them
TEXT_BYTES, CODE_BYTES = 4, 2  # per token
RECORD_BYTES, PLANNED_BYTES = 16, 6  # of packs: where a record's tokens are; a document in the plan of an epoch


def disk_bytes(plan: Plan, artefact: str, results: Path) -> float:
    """Bytes of an artefact; 0 for those that are small beside the others."""
    job = plan.jobs[artefact]
    if isinstance(job.settings, CheckpointSettings):
        return _checkpoint(plan, job.settings)
    if isinstance(job.settings, PackSettings):
        return _packs(plan, job.settings, results, job.recipe.name)
    if job.recipe.stage == "encode":
        return _images(plan, job.recipe.in_role("images")) * _codes(plan) * CODE_BYTES
    return 0.0


def _checkpoint(plan: Plan, settings: CheckpointSettings) -> float:
    """Weights, and the state that a later segment starts from."""
    train = plan.experiment.train
    assert train is not None
    parameters = run_costs(plan.experiment, settings.run).parameters_total
    weights = parameters * (2 if train.precision == "bfloat16" else 4)
    continued = 0 < settings.step < settings.optimization.total_steps
    return weights + STATE_BYTES * parameters * continued


def _packs(plan: Plan, settings: PackSettings, results: Path, mixture: str) -> float:
    try:
        parts = mixture_tokens(plan, results, mixture)
    except ConfigError:  # not known before its sources have data
        return 0.0
    per_use = [part.text_tokens * TEXT_BYTES + part.image_tokens * CODE_BYTES for part in parts]
    return sum(
        (own + part.documents * RECORD_BYTES) / part.weight + settings.epochs * part.documents * PLANNED_BYTES
        for own, part in zip(per_use, parts, strict=True)
    )


def _images(plan: Plan, artefacts: list[str]) -> float:
    return sum(things_of(name, PlannedJobs(plan)) for name in artefacts)


def _codes(plan: Plan) -> int:
    tokenizer = plan.experiment.tokenizers.image
    return tokenizer.shape.codes_per_image if tokenizer else 0

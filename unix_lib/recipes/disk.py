"""How much disk a job's artefact will take, where it takes much: weights, training states, packs and codes."""

from unix_lib.config.pack import PackSettings
from unix_lib.config.train import CheckpointSettings
from unix_lib.recipes.costs import run_costs
from unix_lib.recipes.plan import Plan

STATE_BYTES = 16  # per parameter: a float32 weight with its two moments, and what DeepSpeed keeps beside them
PACKED_BYTES = 4.125  # per token: an int32 and a bit
CODE_BYTES = 2


def disk_bytes(plan: Plan, artefact: str) -> float:
    """Bytes of an artefact; 0 for those that stay small beside the others."""
    job, experiment = plan.jobs[artefact], plan.experiment
    if isinstance(job.settings, CheckpointSettings):
        return _checkpoint(plan, job.settings)
    return 0.0

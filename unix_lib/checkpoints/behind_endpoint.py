"""What stands for a model behind an endpoint where answers say whose they are: its name, and nothing to load."""

from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.checkpoints.loaded import ORIGIN
from unix_lib.config.brought import EndpointSettings
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job


def make_endpoint(job: Job[EndpointSettings, Execution]) -> Manifest:
    """Make `train/<name>` of no files: the facts of the checkpoint behind it, where that is known."""
    origin = {"run": job.settings.name, "step": -1, "tokens": -1, "architecture": "", "seed": -1}
    if "checkpoint" in job.recipe.inputs:
        trained = read_manifest(job.input("checkpoint")).facts
        origin = {name: trained[name] for name in ORIGIN}
    return job.finish({}, facts=origin)

# What must be there before a job is submitted to a cluster.

import shutil


def require_cluster():
    """Stop where SLURM is asked for and is not there: each job would fail by itself, as often as the profile retries it.

    Raises:
        WorkflowError: this machine has no sbatch.
    """
    if workflow.executor_plugin.name == "slurm" and shutil.which("sbatch") is None:
        raise WorkflowError(
            "SLURM is not here: there is no sbatch on the PATH; run this on a login node of the cluster, or without "
            "--profile slurm on this machine"
        )

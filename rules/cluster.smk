# A SLURM cluster: what the site's file says reaches the jobs, and what can't run there is refused before it is submitted.

import shutil
from dataclasses import replace

from unix_lib.cluster.batches import batches
from unix_lib.cluster.site import RESOURCES, Site, read_site
from unix_lib.cluster.slurm import faults, keeps_accounts


include: "takeover.smk"


# Artefacts that are made in a batch, by the name of the batch.
BATCHES = {}


def site_resources(site):
    """Resources of every job from site.yaml, of those that it says something of; none inside a SLURM job."""
    return {
        resource: lambda wildcards, key=RESOURCES[resource]: getattr(
            site.of(wildcards.stage), key
        )
        for resource in site.resources()
    }


def due(dag):
    """Stages and execution settings of the jobs that are to run."""
    jobs = (planned(job.wildcards) for job in dag.needrun_jobs() if job.wildcards)
    return [(job.recipe.stage, job.execution) for job in jobs]


def refused_by_cluster(site, jobs):
    """Why this cluster can't do some jobs: each would fail, or wait for ever, by itself. "" where it can."""
    if not jobs:
        return ""
    if shutil.which("sbatch") is None:
        return (
            "SLURM is not here: there is no sbatch on the PATH; run this on a login node of the cluster, or without "
            "--profile slurm on this machine"
        )
    try:
        return "\n".join(["", *found]) if (found := faults(site, jobs)) else ""
    except UserError as error:
        return str(error)


def go_to_slurm(workflow, site, plan, results):
    """Settings that follow from the site and the cluster, before the DAG is built."""
    settings = workflow.executor_settings
    if not keeps_accounts():
        settings.status_command = "squeue"
    settings.logdir = settings.logdir or results / "logs" / "slurm"
    # A batch's jobs share its one slot, so that it asks for no more than the largest of them.
    workflow.register_resource("slot", 1)
    BATCHES.update(batches(plan, site))
    stages = {batch: batch.partition("-")[0] for batch in BATCHES.values()}
    workflow.parent_groupids.update(stages)
    workflow.group_settings = replace(
        workflow.group_settings,
        group_components={stage: site.batch_of(stage) for stage in stages.values()},
    )
    workflow.executor_plugin.executor = continuing_executor(workflow, results)


def batch_of(wildcards):
    """The batch that a job is submitted in, if any. Inside a SLURM job, all that it is to make are one."""
    if PLAN:
        return BATCHES.get(key_of(wildcards))
    batched = workflow.group_settings.group_components
    return wildcards.stage if wildcards.stage in batched else None

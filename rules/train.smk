# One segment of a run: from the newest state before it to its checkpoint.


def launchers(wildcards):
    """Of several nodes each starts its processes by a launcher of its own; None on one node."""
    nodes = shape_of(wildcards).nodes
    return nodes if nodes > 1 else None


def gpus_per_node(wildcards):
    shape = shape_of(wildcards)
    return f"gpu:{shape.gpus}" if shape.gpus and shape.nodes > 1 else None


def srun(wildcards):
    """One launcher per node. A variable that only SLURM sets keeps a local run away from srun.

    The plugin starts a job with `mpi` once, on its first node and without SLURM's other variables: the step's shape
    must be said again.
    """
    shape = shape_of(wildcards)
    step = (
        f"--nodes={shape.nodes} --ntasks={shape.nodes} --cpus-per-task={shape.threads}"
    )
    return (
        f"${{SLURM_JOB_ID:+srun {step} --kill-on-bad-exit=1}} "
        if launchers(wildcards)
        else ""
    )


use rule job as segment with:
    wildcard_constraints:
        stage="train",
    # Training is the longest chain: what waits for it must not take its turn when cores are few.
    priority: 10
    resources:
        **site_resources(SITE),
        # Several nodes: one launcher per node through srun, each starting a process per GPU.
        mem_mb=lambda wildcards: shape_of(wildcards).memory_mb,
        runtime=lambda wildcards: shape_of(wildcards).runtime_minutes,
        gpu=gpus,
        nodes=lambda wildcards: shape_of(wildcards).nodes,
        tasks=launchers,
        gres=gpus_per_node,
        tasks_per_gpu=lambda wildcards: 0 if launchers(wildcards) else None,
        mpi=lambda wildcards: "srun" if launchers(wildcards) else None,
    params:
        launcher=srun,
    message:
        "Training {wildcards.name}"

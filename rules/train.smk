# One segment of a run: from the newest state before it to its checkpoint.


def nodes(wildcards):
    return shape_of("train", wildcards).nodes


def launchers(wildcards):
    return nodes(wildcards) if nodes(wildcards) > 1 else None


def gpus_per_node(wildcards):
    shape = shape_of("train", wildcards)
    return f"gpu:{shape.gpus}" if shape.gpus and shape.nodes > 1 else None


def srun(wildcards):
    """One launcher per node. A variable that only SLURM sets keeps a local run away from srun.

    The plugin starts a job with `mpi` once, on its first node and without SLURM's other variables: the step's shape
    must be said again.
    """
    step = f"--nodes={nodes(wildcards)} --ntasks={nodes(wildcards)} --cpus-per-task={shape_of('train', wildcards).threads}"
    return (
        f"${{SLURM_JOB_ID:+srun {step} --kill-on-bad-exit=1}} "
        if launchers(wildcards)
        else ""
    )


rule segment:
    input:
        upstream("train"),
    output:
        manifest=artefact("train"),
    log:
        log_path("train"),
    benchmark:
        benchmark_path("train")
    # Training is the longest chain: what waits for it must not take its turn when cores are few.
    priority: 10
    threads: threads_of("train")
    resources:
        mem_mb=memory_mb("train"),
        runtime=runtime_minutes("train"),
        gpu=gpus("train"),
        # Several nodes: one launcher per node through srun, each starting a process per GPU.
        nodes=nodes,
        tasks=launchers,
        gres=gpus_per_node,
        tasks_per_gpu=lambda wildcards: 0 if launchers(wildcards) else None,
        mpi=lambda wildcards: "srun" if launchers(wildcards) else None,
    params:
        recipe=recipe_path("train"),
        execution=execution_path("train"),
        srun=srun,
    message:
        "Training {wildcards.name}"
    shell:
        command("train", launcher="{params.srun}")

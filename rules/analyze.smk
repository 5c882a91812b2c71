# Gradient conflict of a checkpoint; conditional entropy of the sources.


rule analysis:
    input:
        upstream("analyze"),
    output:
        manifest=artefact("analyze"),
    log:
        log_path("analyze"),
    benchmark:
        benchmark_path("analyze")
    threads: threads_of("analyze")
    resources:
        mem_mb=memory_mb("analyze"),
        runtime=runtime_minutes("analyze"),
        gpu=gpus("analyze"),
    params:
        recipe=recipe_path("analyze"),
        execution=execution_path("analyze"),
    message:
        "Analyzing {wildcards.name}"
    shell:
        command("analyze")

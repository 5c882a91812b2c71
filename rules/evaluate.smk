# Scores of one checkpoint's answers to a group of benchmarks; the ceiling of a benchmark.


rule evaluation:
    input:
        upstream("evaluate"),
    output:
        manifest=artefact("evaluate"),
    log:
        log_path("evaluate"),
    benchmark:
        benchmark_path("evaluate")
    threads: threads_of("evaluate")
    resources:
        mem_mb=memory_mb("evaluate"),
        runtime=runtime_minutes("evaluate"),
        gpu=gpus("evaluate"),
    params:
        recipe=recipe_path("evaluate"),
        execution=execution_path("evaluate"),
    message:
        "Scoring {wildcards.name}"
    shell:
        command("evaluate")

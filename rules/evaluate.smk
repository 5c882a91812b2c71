# One group of benchmarks on one checkpoint, and the image tokenizer's ceiling.


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
        "Evaluating {wildcards.name}"
    shell:
        command("evaluate")

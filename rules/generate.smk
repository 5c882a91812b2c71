# One checkpoint's answers to a group of benchmarks, each an artefact of its own.


rule generation:
    input:
        upstream("generate"),
    output:
        manifest=artefact("generate"),
    log:
        log_path("generate"),
    benchmark:
        benchmark_path("generate")
    threads: threads_of("generate")
    resources:
        mem_mb=memory_mb("generate"),
        runtime=runtime_minutes("generate"),
        gpu=gpus("generate"),
    params:
        recipe=recipe_path("generate"),
        execution=execution_path("generate"),
    message:
        "Generating {wildcards.name}"
    shell:
        command("generate")

# Records of one source: images, captions, questions, text.


rule source:
    message:
        "Making source {wildcards.name}"
    input:
        upstream("sources"),
    output:
        manifest=artefact("sources"),
    params:
        recipe=recipe_path("sources"),
        execution=execution_path("sources"),
    log:
        log_path("sources"),
    benchmark:
        benchmark_path("sources")
    threads: threads_of("sources")
    resources:
        mem_mb=memory_mb("sources"),
        runtime=runtime_minutes("sources"),
        gpu=gpus("sources"),
    shell:
        command("sources")

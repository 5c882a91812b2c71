# Records of one source: images, captions, questions, text.


rule source:
    input:
        upstream("sources"),
    output:
        manifest=artefact("sources"),
    log:
        log_path("sources"),
    benchmark:
        benchmark_path("sources")
    threads: threads_of("sources")
    resources:
        mem_mb=memory_mb("sources"),
        runtime=runtime_minutes("sources"),
        gpu=gpus("sources"),
    params:
        recipe=recipe_path("sources"),
        execution=execution_path("sources"),
    message:
        "Making source {wildcards.name}"
    shell:
        command("sources")

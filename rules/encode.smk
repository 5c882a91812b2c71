# Images of a source to VQGAN codes.


rule encoding:
    input:
        upstream("encode"),
    output:
        manifest=artefact("encode"),
    log:
        log_path("encode"),
    benchmark:
        benchmark_path("encode")
    threads: threads_of("encode")
    resources:
        mem_mb=memory_mb("encode"),
        runtime=runtime_minutes("encode"),
        gpu=gpus("encode"),
    params:
        recipe=recipe_path("encode"),
        execution=execution_path("encode"),
    message:
        "Encoding the images of {wildcards.name}"
    shell:
        command("encode")

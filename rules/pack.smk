# Records of a mixture to fixed-length packs of tokens.


rule mixture:
    message:
        "Packing mixture {wildcards.name}"
    input:
        upstream("pack"),
    output:
        manifest=artefact("pack"),
    params:
        recipe=recipe_path("pack"),
        execution=execution_path("pack"),
    log:
        log_path("pack"),
    benchmark:
        benchmark_path("pack")
    threads: threads_of("pack")
    resources:
        mem_mb=memory_mb("pack"),
        runtime=runtime_minutes("pack"),
        gpu=gpus("pack"),
    shell:
        command("pack")

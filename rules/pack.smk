# Records of a mixture to fixed-length packs of tokens.


rule mixture:
    input:
        upstream("pack"),
    output:
        manifest=artefact("pack"),
    log:
        log_path("pack"),
    benchmark:
        benchmark_path("pack")
    threads: threads_of("pack")
    resources:
        mem_mb=memory_mb("pack"),
        runtime=runtime_minutes("pack"),
        gpu=gpus("pack"),
    params:
        recipe=recipe_path("pack"),
        execution=execution_path("pack"),
    message:
        "Packing mixture {wildcards.name}"
    shell:
        command("pack")

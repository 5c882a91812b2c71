# The one-page summary.


rule summary:
    message:
        "Writing the {wildcards.name}"
    input:
        upstream("report"),
    output:
        manifest=artefact("report"),
        page=report("results/{experiment}/report/{name}-{digest}/index.html", category="Summary"),
    params:
        recipe=recipe_path("report"),
        execution=execution_path("report"),
    log:
        log_path("report"),
    benchmark:
        benchmark_path("report")
    threads: threads_of("report")
    resources:
        mem_mb=memory_mb("report"),
        runtime=runtime_minutes("report"),
        gpu=gpus("report"),
    shell:
        command("report")

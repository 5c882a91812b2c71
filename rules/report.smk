# The one-page summary.


rule summary:
    input:
        upstream("report"),
    output:
        manifest=artefact("report"),
        page=report(
            "results/{experiment}/report/{name}-{digest}/index.html",
            category="Summary",
        ),
    log:
        log_path("report"),
    benchmark:
        benchmark_path("report")
    threads: threads_of("report")
    resources:
        mem_mb=memory_mb("report"),
        runtime=runtime_minutes("report"),
        gpu=gpus("report"),
    params:
        recipe=recipe_path("report"),
        execution=execution_path("report"),
    message:
        "Writing the {wildcards.name}"
    shell:
        command("report")

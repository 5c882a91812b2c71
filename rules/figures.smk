# One figure or table: tidy CSV, PNG and PDF.


rule figure:
    input:
        upstream("figures"),
    output:
        manifest=artefact("figures"),
        png=report(
            "results/{experiment}/figures/{name}-{digest}/{name}.png",
            category="Figures and tables",
        ),
    log:
        log_path("figures"),
    benchmark:
        benchmark_path("figures")
    threads: threads_of("figures")
    resources:
        mem_mb=memory_mb("figures"),
        runtime=runtime_minutes("figures"),
        gpu=gpus("figures"),
    params:
        recipe=recipe_path("figures"),
        execution=execution_path("figures"),
    message:
        "Drawing {wildcards.name}"
    shell:
        command("figures")

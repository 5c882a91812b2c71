# One figure or table: tidy CSV, PNG and PDF.


rule figure:
    message:
        "Drawing {wildcards.name}"
    input:
        upstream("figures"),
    output:
        manifest=artefact("figures"),
        png=report("results/{experiment}/figures/{name}-{digest}/{name}.png", category="Figures and tables"),
    params:
        recipe=recipe_path("figures"),
        execution=execution_path("figures"),
    log:
        log_path("figures"),
    benchmark:
        benchmark_path("figures")
    threads: threads_of("figures")
    resources:
        mem_mb=memory_mb("figures"),
        runtime=runtime_minutes("figures"),
        gpu=gpus("figures"),
    shell:
        command("figures")

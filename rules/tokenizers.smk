# The text tokenizer, the image tokenizer (VQGAN) and the vocabulary that joins them.


rule tokenizer:
    input:
        upstream("tokenizers"),
    output:
        manifest=artefact("tokenizers"),
    log:
        log_path("tokenizers"),
    benchmark:
        benchmark_path("tokenizers")
    threads: threads_of("tokenizers")
    resources:
        mem_mb=memory_mb("tokenizers"),
        runtime=runtime_minutes("tokenizers"),
        gpu=gpus("tokenizers"),
    params:
        recipe=recipe_path("tokenizers"),
        execution=execution_path("tokenizers"),
    message:
        "Making tokenizer {wildcards.name}"
    shell:
        command("tokenizers")

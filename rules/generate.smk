# One checkpoint's answers to a group of benchmarks, each an artefact of its own.


use rule job as generation with:
    wildcard_constraints:
        stage="generate",
    message:
        "Generating {wildcards.name}"

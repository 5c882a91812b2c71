# Scores of one checkpoint's answers to a group of benchmarks; the ceiling of a benchmark.


use rule job as evaluation with:
    wildcard_constraints:
        stage="evaluate",
    message:
        "Scoring {wildcards.name}"

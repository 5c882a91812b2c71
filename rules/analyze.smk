# Gradient conflict of a checkpoint; conditional entropy of the sources.


use rule job as analysis with:
    wildcard_constraints:
        stage="analyze",
    message:
        "Analyzing {wildcards.name}"

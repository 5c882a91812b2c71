# Records and benchmarks of a source in another language.


use rule job as translation with:
    wildcard_constraints:
        stage="translate",
    message:
        "Translating {wildcards.name}"

# The one-page summary.


use rule job as summary with:
    wildcard_constraints:
        stage="report",
    message:
        "Writing the {wildcards.name}"

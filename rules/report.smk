# The one-page summary.


use rule job as summary with:
    output:
        manifest=rules.job.output.manifest,
        page=report(
            "results/{experiment}/{stage}/{name}-{digest}/index.html",
            category="Summary",
        ),
    wildcard_constraints:
        stage="report",
    message:
        "Writing the {wildcards.name}"

# One figure or table: tidy CSV, PNG and PDF.


use rule job as figure with:
    output:
        manifest=rules.job.output.manifest,
        png=report(
            "results/{experiment}/{stage}/{name}-{digest}/{name}.png",
            category="Figures and tables",
        ),
    wildcard_constraints:
        stage="figures",
    message:
        "Drawing {wildcards.name}"

# One figure or table: tidy CSV, PNG and PDF.


use rule job as figure with:
    wildcard_constraints:
        stage="figures",
    message:
        "Drawing {wildcards.name}"

# Records of a mixture to fixed-length packs of tokens.


use rule job as mixture with:
    wildcard_constraints:
        stage="pack",
    message:
        "Packing mixture {wildcards.name}"
